// A cluster of Kubernetes becomes a part of the trust domain: its servers below the upstream, agents on its nodes, and its workloads' entries. Each gate reads
// what the cluster says and what the servers say: pods that are ready prove neither an intermediate CA nor an attested agent.
import { ApplicationFailure } from '@temporalio/workflow';
import type { ClusterResource, ClusterServer, InCluster, ServerNodes } from '../activities/clusters/cluster.ts';
import type { CertificateReport } from '../activities/inputs.ts';
import type { ClusterPlan, TrustDomainPlan } from '../activities/plan.ts';
import { onCluster, onControl } from './lib/calls.ts';
import type { ProgressKeeper } from './lib/progress.ts';
import { clusterRemoval } from './lib/removals.ts';
import { settleAll } from './lib/saga.ts';
import type { Undo } from './lib/saga.ts';

export interface ClusterGrowth {
  readonly plan: TrustDomainPlan;
  readonly cluster: ClusterPlan;
  /** The run that owns what is made. */
  readonly owner: string;
  readonly nodes: Pick<ServerNodes, 'agentIds'>;
  readonly upstream: { readonly address: string; readonly bundlePem: string };
}

export interface ClusterReport {
  readonly name: string;
  readonly servers: readonly (ClusterServer & { readonly intermediate: CertificateReport })[];
  /** Agents by the nodes that they are on. */
  readonly agents: readonly { readonly name: string; readonly agentId: string }[];
}

export const clusterPhases = ['downstream', 'agents', 'entries'] as const;

/** A cluster of the plan, and what its servers' pods are to the upstream. */
export interface PreparedCluster {
  readonly cluster: ClusterPlan;
  readonly nodes: ServerNodes;
}

/** Before the upstream is there: it is made knowing their servers' pods. */
export function prepareClusters(
  { spec, clusters = [] }: TrustDomainPlan,
  owner: string,
  undo: Undo,
): Promise<PreparedCluster[]> {
  const { trustDomain } = spec;
  return settleAll(
    clusters.map(async (cluster) => {
      undo(clusterRemoval(spec, cluster, owner));
      const nodes = await onCluster('infrastructure').ensureClusterServerNodes({ trustDomain, cluster, owner });
      return { cluster, nodes };
    }),
  );
}

/** Returns the address of one of its servers. */
export async function growServers({ plan, cluster, owner, nodes, upstream }: ClusterGrowth): Promise<string> {
  const { trustDomain } = plan.spec;
  const control = onControl('spire');
  await onCluster('spire').ensureClusterServer({ trustDomain, cluster, plan, owner, upstream });
  await settleAll(
    nodes.agentIds.map(async (agentId) => {
      await control.waitForAgent({ trustDomain, address: upstream.address, agentId });
      const { downstreamId: spiffeId, downstreamSelectors: selectors } = cluster;
      const entry = { spiffeId, parentId: agentId, selectors, downstream: true };
      await control.ensureEntry({ trustDomain, address: upstream.address, entry });
    }),
  );
  const servers = await verifyServers({ trustDomain, cluster }, 'spire');
  const [first] = servers;
  if (first !== undefined) return first.address;
  throw ApplicationFailure.create({
    type: 'InvalidRequest',
    nonRetryable: true,
    message: `cluster ${cluster.name} has no server`,
  });
}

export async function growAgents({ plan, cluster, owner }: ClusterGrowth, address: string): Promise<void> {
  const within = { trustDomain: plan.spec.trustDomain, cluster };
  await onCluster('spire').ensureClusterAgents({ ...within, plan, owner });
  await verifyClusterAgents(within, address, 'spire');
}

export async function growCluster(
  growth: ClusterGrowth,
  progress: Pick<ProgressKeeper, 'phase'>,
  registerWorkloads: (address: string) => Promise<unknown>,
): Promise<void> {
  const { name } = growth.cluster;
  const address = await progress.phase(`downstream ${name}`, () => growServers(growth));
  await progress.phase(`agents ${name}`, () => growAgents(growth, address));
  await progress.phase(`entries ${name}`, () => registerWorkloads(address));
}

export async function verifyCluster(trustDomain: string, cluster: ClusterPlan): Promise<ClusterReport> {
  const within = { trustDomain, cluster };
  const servers = await verifyServers(within, 'validation');
  const agents = await verifyClusterAgents(within, servers[0]?.address ?? '', 'validation');
  return { name: cluster.name, servers, agents };
}

/** What there is of the clusters, by any run. */
export async function listClusters({ spec, clusters = [] }: TrustDomainPlan, phase: 'validation' | 'removal') {
  const { trustDomain } = spec;
  const found = await Promise.all(
    clusters.map(async (cluster) => {
      const resources = await onCluster(phase).listClusterResources({ trustDomain, cluster });
      return resources.map((resource): ClusterResource => ({ ...resource, kind: `${cluster.name} ${resource.kind}` }));
    }),
  );
  return found.flat();
}

type Phase = 'spire' | 'validation';

async function verifyServers(within: InCluster, phase: Phase): Promise<ClusterReport['servers']> {
  const { trustDomain, cluster } = within;
  const servers = await onCluster(phase).waitForClusterServer(within);
  return settleAll(
    servers.map(async (server) => {
      const asked = { trustDomain, address: server.address, caTtl: cluster.caTtl };
      return { ...server, intermediate: await onControl(phase).verifyIntermediate(asked) };
    }),
  );
}

async function verifyClusterAgents(within: InCluster, address: string, phase: Phase): Promise<ClusterReport['agents']> {
  const agents = await onCluster(phase).waitForClusterAgents(within);
  const { trustDomain } = within;
  await onControl(phase).waitForAttestedAgents({ trustDomain, address, method: 'k8s_psat', agents });
  return agents;
}
