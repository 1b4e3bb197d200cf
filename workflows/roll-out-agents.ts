// Agents on a segment's nodes. In a bootstrap: starts the nodes and waits until the agent of each has attested with its cloud's instance identity. Asked by an
// operator: puts a new agent on nodes that run, in waves.
import type { Instance, SegmentPlan, TrustDomainPlan, WorkloadPlan } from '../activities/plan.ts';
import { onCloud, onControl } from './lib/calls.ts';
import { whereOf } from './lib/removals.ts';
import { settleAll } from './lib/saga.ts';
import { rollOutInWaves } from './rollout/roll-out-in-waves.ts';
import type { KeptRollOutReport } from './rollout/roll-out-in-waves.ts';

export interface StartNodesInput {
  readonly plan: TrustDomainPlan;
  readonly segment: SegmentPlan;
  readonly owner: string;
  readonly serverAddress: string;
  readonly bundlePem: string;
}

export function rollOutAgents(input: StartNodesInput): Promise<Instance[]>;
export function rollOutAgents(request: unknown): Promise<KeptRollOutReport>;
export function rollOutAgents(input: unknown): Promise<Instance[] | KeptRollOutReport> {
  return isStart(input) ? startNodes(input) : rollOutInWaves(input);
}

/** No request of an operator has a `segment`. */
function isStart(input: unknown): input is StartNodesInput {
  return typeof input === 'object' && input !== null && 'segment' in input;
}

export async function startNodes({
  plan,
  segment,
  owner,
  serverAddress,
  bundlePem,
}: StartNodesInput): Promise<Instance[]> {
  const { cloud, region, name: segmentName } = segment;
  const where = { ...whereOf(plan.spec), region };
  const { ensureNodeInstance, waitForInstance } = onCloud(cloud, 'spire');
  const { waitForAgent } = onControl('spire');

  return settleAll(
    segment.nodes.map(async (name) => {
      const workloads = segment.workloads
        .filter(({ node }) => node === name)
        .map((workload) => nodeWorkload(workload, plan.workerId));
      await ensureNodeInstance({
        ...where,
        plan,
        segment: segmentName,
        cloud,
        name,
        owner,
        serverAddress,
        bundlePem,
        workloads,
      });
      const instance = await waitForInstance({ ...where, name });
      await waitForAgent({ trustDomain: where.trustDomain, address: serverAddress, agentId: instance.agentId });
      return instance;
    }),
  );
}

/** The control plane may ask a workload for proof; nobody but its peers may use it. */
export function nodeWorkload({ name, servicePort, peers }: WorkloadPlan, operator: string) {
  return { name, port: servicePort, peers, operators: [operator] };
}
