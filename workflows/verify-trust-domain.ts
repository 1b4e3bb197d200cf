// Proves that a trust domain works, from what its own parts say: servers show their intermediates, agents have attested, workloads hold
// their identities and meet over mTLS across clouds, and an identity that nobody admits is refused. Changes nothing.
import type { HandshakeReport, RefusalReport, WorkloadAddress, WorkloadReport } from '../activities/inputs.ts';
import type { Instance, SegmentPlan, ServerPool, TrustDomainPlan } from '../activities/plan.ts';
import type { Cloud } from '../activities/spec/trust-domain-spec.ts';
import { verifyCluster } from './grow-cluster.ts';
import type { ClusterReport } from './grow-cluster.ts';
import { onControl } from './lib/calls.ts';
import { nameTrustDomain } from './lib/progress.ts';
import { settleAll } from './lib/saga.ts';
import { findInstances, poolsOf } from './lib/topology.ts';

export interface VerifyTrustDomainInput {
  /** As `trust-domain.yaml` has it. */
  readonly spec: unknown;
}

export interface ServerReport extends Instance {
  readonly role: ServerPool['role'];
}

export interface AgentReport extends Instance {
  readonly segment: string;
}

export interface PlacedWorkload extends WorkloadReport {
  readonly agent: string;
}

export interface TrustDomainReport {
  readonly trustDomain: string;
  readonly servers: readonly ServerReport[];
  readonly agents: readonly AgentReport[];
  readonly workloads: readonly PlacedWorkload[];
  readonly handshakes: readonly HandshakeReport[];
  readonly refusals: readonly RefusalReport[];
  /** Absent where there are none. What runs in them is somebody else's: servers and agents are proven. */
  readonly clusters?: readonly ClusterReport[];
}

export async function verifyTrustDomain({ spec }: VerifyTrustDomainInput): Promise<TrustDomainReport> {
  const plan = await onControl('validation').planTrustDomain({ spec });
  nameTrustDomain(plan.spec.trustDomain);
  const [servers, agents] = await Promise.all([
    settleAll(poolsOf(plan).map((pool) => verifyServers(plan, pool))),
    settleAll(plan.segments.map((segment) => findNodes(plan, segment))),
  ]);
  const addresses = workloadAddresses(plan, agents.flat());
  await verifyAgents(plan, servers.flat(), agents.flat());
  const workloads = await settleAll(addresses.map(({ agent, workload }) => readWorkload(plan, agent, workload)));
  const handshakes = await verifyHandshakes(plan, addresses);
  const refusals = await settleAll(
    addresses.map(({ workload }) =>
      onControl('validation').verifyRefusal({ trustDomain: plan.spec.trustDomain, workload }),
    ),
  );
  const { spec: of, clusters } = plan;
  const inClusters = await settleAll((clusters ?? []).map((cluster) => verifyCluster(of.trustDomain, cluster)));
  return {
    trustDomain: of.trustDomain,
    servers: servers.flat(),
    agents: agents.flat(),
    workloads,
    handshakes,
    refusals,
    ...(clusters === undefined ? {} : { clusters: inClusters }),
  };
}

async function verifyServers(plan: TrustDomainPlan, pool: ServerPool): Promise<ServerReport[]> {
  const { trustDomain } = plan.spec;
  const control = onControl('validation');
  const instances = await findInstances(plan, pool, pool.servers);
  await settleAll(
    instances.map(async ({ address }) => {
      await control.waitForServer({ trustDomain, address });
      const isBelow = pool.role === 'downstream' || pool.authority !== undefined;
      if (isBelow) await control.verifyIntermediate({ trustDomain, address, caTtl: pool.caTtl });
    }),
  );
  return instances.map((instance) => ({ ...instance, role: pool.role }));
}

async function findNodes(plan: TrustDomainPlan, segment: SegmentPlan): Promise<AgentReport[]> {
  const { name, nodes } = segment;
  const instances = await findInstances(plan, segment, nodes);
  return instances.map((instance) => ({ ...instance, segment: name }));
}

/** Each node's agent at its segment's server, each downstream host's agent at the upstream. */
async function verifyAgents(
  plan: TrustDomainPlan,
  servers: readonly ServerReport[],
  agents: readonly AgentReport[],
): Promise<void> {
  const { trustDomain } = plan.spec;
  const addressOf = (pool: ServerPool): string => servers.find(({ name }) => name === pool.servers[0])?.address ?? '';
  const hosts = servers
    .filter(({ role }) => role === 'downstream')
    .map(({ agentId }) => ({ agentId, address: addressOf(plan.upstream) }));
  const nodes = plan.segments.flatMap(({ name, pool }) =>
    agents.filter(({ segment }) => segment === name).map(({ agentId }) => ({ agentId, address: addressOf(pool) })),
  );
  await settleAll([...hosts, ...nodes].map((agent) => onControl('validation').waitForAgent({ trustDomain, ...agent })));
}

interface Addressed {
  readonly agent: string;
  readonly cloud: Cloud;
  readonly workload: WorkloadAddress;
}

function workloadAddresses(plan: TrustDomainPlan, agents: readonly AgentReport[]): Addressed[] {
  return plan.segments.flatMap(({ cloud, workloads }) =>
    workloads.flatMap(({ node, spiffeId, servicePort, controlPort }) =>
      agents
        .filter(({ name }) => name === node)
        .map(({ address }) => ({ agent: node, cloud, workload: { spiffeId, address, servicePort, controlPort } })),
    ),
  );
}

async function readWorkload(plan: TrustDomainPlan, agent: string, workload: WorkloadAddress): Promise<PlacedWorkload> {
  const report = await onControl('validation').waitForWorkload({ trustDomain: plan.spec.trustDomain, workload });
  return { ...report, agent };
}

/** Every workload of one cloud with every workload of another, both ways. */
function verifyHandshakes(plan: TrustDomainPlan, addressed: readonly Addressed[]): Promise<HandshakeReport[]> {
  const { trustDomain } = plan.spec;
  const pairs = addressed.flatMap((from) =>
    addressed.filter((to) => to.cloud !== from.cloud).map((to) => ({ from: from.workload, to: to.workload })),
  );
  return settleAll(pairs.map((pair) => onControl('validation').verifyHandshake({ trustDomain, ...pair })));
}
