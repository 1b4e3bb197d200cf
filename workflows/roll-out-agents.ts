// Starts a segment's nodes and waits until the agent of each has attested to the segment's server with its cloud's instance identity.
import type { Instance, SegmentPlan, TrustDomainPlan, WorkloadPlan } from '../activities/plan.ts';
import { onCloud, onControl } from './lib/calls.ts';
import { whereOf } from './lib/removals.ts';
import { settleAll } from './lib/saga.ts';

export interface RollOutAgentsInput {
  readonly plan: TrustDomainPlan;
  readonly segment: SegmentPlan;
  readonly owner: string;
  readonly serverAddress: string;
  readonly bundlePem: string;
}

export async function rollOutAgents({
  plan,
  segment,
  owner,
  serverAddress,
  bundlePem,
}: RollOutAgentsInput): Promise<Instance[]> {
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
function nodeWorkload({ name, servicePort, peers }: WorkloadPlan, operator: string) {
  return { name, port: servicePort, peers, operators: [operator] };
}
