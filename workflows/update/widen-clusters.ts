// What an update adds to a cluster, and changes in it in place: its programs' image, servers, entries. By the steps of a bootstrap, gated as there; what is
// registered to be undone puts back what the cluster had.
import type { ClusterChange } from '../../activities/update/update.ts';
import { growAgents, growServers } from '../grow-cluster.ts';
import type { ClusterGrowth } from '../grow-cluster.ts';
import { runChild } from '../grow-trust-domain.ts';
import type { Root } from '../grow-trust-domain.ts';
import { onCluster } from '../lib/calls.ts';
import { agentIdsOf, retireServers } from '../lib/cluster-servers.ts';
import { required } from '../lib/required.ts';
import { clusterOf } from '../lib/topology.ts';
import { registerWorkloads } from '../register-workloads.ts';
import { forgetEntries } from './forget-entries.ts';
import type { WidenInput } from './widen.ts';

/** Servers that are to go stay until everything is proven. */
export async function widenCluster({ plan, undo }: WidenInput, root: Root, change: ClusterChange): Promise<void> {
  const { before, changesImage, addServers, addWorkloads, removeEntries } = change;
  const { trustDomain } = plan.spec;
  const cluster = clusterOf(plan, change.cluster);
  const { name } = cluster;
  const standing = before.servers.map((server) => server.name);
  const grown = {
    ...{ plan, owner: before.owner, upstream: root },
    cluster: { ...cluster, servers: [...standing, ...addServers] },
    nodes: { agentIds: agentIdsOf(before, [...standing, ...addServers]) },
  };
  if (changesImage || addServers.length > 0) {
    const [image = cluster.image] = before.images;
    const asItWas = { ...grown, cluster: { ...cluster, image, servers: standing } };
    undo({ name: `cluster ${name} as it was`, run: () => restore(plan.upstream.name, asItWas, change) });
    const address = await growServers(grown);
    if (changesImage) await growAgents(grown, address);
  }
  if (addWorkloads.length === 0) return;
  const serverAddress = required(before.servers[0]?.address, `cluster ${name} has no server with an address`);
  undo({
    name: `entries of ${addWorkloads.join(', ')}`,
    run: () => forgetEntries({ trustDomain, address: serverAddress }, cluster.aliasId, addWorkloads, removeEntries),
  });
  const input = { plan, segment: cluster, serverAddress };
  await runChild(plan, registerWorkloads, 'registerWorkloads', input, name);
}

async function restore(
  upstreamName: string,
  { plan, cluster, owner, upstream }: ClusterGrowth,
  { before, changesImage, addServers }: ClusterChange,
): Promise<void> {
  const within = { trustDomain: plan.spec.trustDomain, cluster };
  const act = onCluster('removal');
  const above = { name: upstreamName, address: upstream.address };
  const agents = agentIdsOf(before, addServers).map((agentId) => ({ agentId }));
  await retireServers(within.trustDomain, above, agents, async () => {
    await act.ensureClusterServer({ ...within, plan, owner, upstream });
    if (addServers.length > 0) await act.removeClusterServers(within);
  });
  if (changesImage) await act.ensureClusterAgents({ ...within, plan, owner });
  await act.waitForClusterServer(within);
  if (changesImage) await act.waitForClusterAgents(within);
}
