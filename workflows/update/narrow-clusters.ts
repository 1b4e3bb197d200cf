// What an update takes from clusters: entries, servers beyond those that are wanted, and clusters whole, drained in the order of a tear-down: their workloads'
// entries, their agents and servers, and last what made these servers to the upstream.
import type { FoundCluster } from '../../activities/clusters/cluster.ts';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import type { Tier } from '../../activities/trust/topology.ts';
import type { ClusterChange, Comparison, FoundEntry, GoneCluster } from '../../activities/update/update.ts';
import { onCluster, onRollOut, onUpdate } from '../lib/calls.ts';
import { agentIdsOf, retireServers } from '../lib/cluster-servers.ts';
import type { ServerAgent } from '../lib/cluster-servers.ts';
import { rootMessage } from '../lib/failure-message.ts';
import type { TierAbove } from '../lib/host-removal.ts';
import { required } from '../lib/required.ts';
import type { Removal } from '../lib/saga.ts';
import { clusterOf } from '../lib/topology.ts';
import { entriesRemoval } from './entries-removal.ts';
import type { NarrowingProofs } from './narrowing-proofs.ts';

interface Narrowing {
  readonly plan: TrustDomainPlan;
  readonly above: TierAbove;
  readonly proofs: NarrowingProofs | undefined;
}

/** In the order in which they are begun, each when the one before it has ended. */
export function clusterRemovals(
  narrowing: Narrowing,
  { changeClusters = [], removeClusters = [] }: Pick<Comparison, 'changeClusters' | 'removeClusters'>,
): Removal[] {
  const { plan, proofs } = narrowing;
  const { trustDomain } = plan.spec;
  return [
    ...changeClusters.flatMap((change) => [
      ...entriesRemoval({ trustDomain, address: addressIn(change) }, change.removeEntries, proofs),
      ...(change.removeServers.length === 0 ? [] : [serversRemoval(narrowing, change)]),
    ]),
    ...removeClusters.map((gone) => clusterRemoval(narrowing, gone)),
  ];
}

function serversRemoval({ plan, above, proofs }: Narrowing, change: ClusterChange): Removal {
  const { before, removeServers } = change;
  const { trustDomain } = plan.spec;
  const cluster = clusterOf(plan, change.cluster);
  const { name } = cluster;
  const staying = { name, parent: above.name, servers: [{ name, address: addressIn(change) }] };
  return {
    name: `servers ${removeServers.join(', ')} of cluster ${name}`,
    async run() {
      const bundlePem = await onRollOut().readBundle({ trustDomain, tier: tierOf(above) });
      const agents = agentsOf(before, removeServers, { above, proofs, staying });
      await retireServers(trustDomain, above, agents, async () => {
        const act = onCluster('removal');
        const upstream = { address: above.address, bundlePem };
        await act.ensureClusterServer({ trustDomain, cluster, plan, owner: before.owner, upstream });
        await act.removeClusterServers({ trustDomain, cluster });
      });
    },
  };
}

function clusterRemoval({ plan, above, proofs }: Narrowing, { name, found, entries }: GoneCluster): Removal {
  const { trustDomain } = plan.spec;
  return {
    name: `cluster ${name}`,
    async run() {
      if (found !== undefined) await drain(plan, found, proofs);
      const servers = found?.servers.map((server) => server.name) ?? [];
      const agents = found === undefined ? [] : agentsOf(found, servers, { above, proofs, staying: undefined });
      const others = new Set(entries.map(({ parentId }) => parentId));
      for (const { agentId } of agents) others.delete(agentId);
      const all = [...agents, ...[...others].map((agentId) => ({ agentId }))];
      await retireServers(trustDomain, above, all, async () => {
        if (found !== undefined) await onCluster('removal').removeCluster({ trustDomain, cluster: found });
      });
    },
  };
}

/** Its agents let go of what its workloads had while they are there to do so. Where no server answers, its entries go with its database. */
async function drain(
  { spec, serverId }: TrustDomainPlan,
  found: FoundCluster,
  proofs: Narrowing['proofs'],
): Promise<void> {
  const { trustDomain } = spec;
  const [server] = found.servers;
  if (server?.address === undefined) return;
  const below = { trustDomain, address: server.address };
  try {
    const aliases = await onUpdate().listEntries({ ...below, parentId: serverId });
    const entries: FoundEntry[] = [];
    // Whoever answers at that address: of this cluster's nodes only.
    const isItsOwn = ({ isOurs, selectors }: FoundEntry) =>
      isOurs && selectors.includes(`k8s_psat:cluster:${found.name}`);
    for (const { spiffeId } of aliases.filter(isItsOwn))
      entries.push(...(await onUpdate().listEntries({ ...below, parentId: spiffeId })));
    for (const removal of entriesRemoval(
      below,
      entries.filter(({ isOurs }) => isOurs),
      proofs,
    ))
      await removal.run();
  } catch (cause) {
    proofs?.entriesGone(
      [`workloads of cluster ${found.name}`],
      `their entries went with its database: ${rootMessage(cause)}`,
    );
  }
}

/** Proofs are begun in the order of the servers. */
function agentsOf(
  found: FoundCluster,
  servers: readonly string[],
  { above, proofs, staying }: Pick<Narrowing, 'above' | 'proofs'> & { readonly staying: Tier | undefined },
): ServerAgent[] {
  return servers.flatMap((name) =>
    agentIdsOf(found, [name]).map((agentId) => {
      const { address } = found.servers.find((server) => server.name === name) ?? {};
      const gone = { name: `${found.name}/${name}`, tier: found.name, address, upstream: tierOf(above), staying };
      return { agentId, watch: proofs?.ofServer(gone) };
    }),
  );
}

function tierOf({ name, address }: TierAbove): Tier {
  return { name, servers: [{ name, address }] };
}

/** The first of its servers stays, whatever their number. */
function addressIn({ cluster, before }: ClusterChange): string {
  return required(before.servers[0]?.address, `cluster ${cluster} has no server with an address`);
}
