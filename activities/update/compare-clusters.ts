// What a specification wants otherwise of clusters than they are: from their own objects, their servers' entries, and what the upstream knows of them. Pure.
import type { FoundCluster, ServerSettings } from '../clusters/cluster.ts';
import type { ClusterPlan, TrustDomainPlan } from '../plan.ts';
import { changedEntries, without } from './changed-entries.ts';
import type { ClusterChange, GoneCluster, LookedClusters, ParentedEntry } from './update.ts';

export interface ClusterComparison {
  readonly refusals: readonly string[];
  readonly changeClusters: readonly ClusterChange[];
  readonly removeClusters: readonly GoneCluster[];
}

type Planned = LookedClusters['planned'][number];

export function compareClusters(
  { clusters = [] }: Pick<TrustDomainPlan, 'clusters'>,
  looked: LookedClusters | undefined,
): ClusterComparison {
  if (looked === undefined) {
    const refusals = clusters.map(
      ({ name }) => `clusters.${name}: this run began before clusters could be changed: start another`,
    );
    return { refusals, changeClusters: [], removeClusters: [] };
  }
  const refusals: string[] = [];
  const changeClusters: ClusterChange[] = [];
  for (const cluster of clusters) {
    const planned = looked.planned.find(({ name }) => name === cluster.name);
    const refused = refusalsOf(cluster, planned?.found ?? null, looked);
    refusals.push(...refused);
    if (refused.length === 0 && planned !== undefined) changeClusters.push(...changesOf(cluster, planned, looked));
  }
  const removeClusters = goneClusters(clusters, looked);
  // Where its objects are nobody has said: they would be left.
  if (removeClusters.some(({ found }) => found === undefined))
    refusals.push(
      ...looked.silent.map((context) => `clusters: one is to go, and it may be where nobody answers: ${context}`),
    );
  return { refusals, changeClusters, removeClusters };
}

export function wideningOfClusters(
  { clusters = [] }: Pick<TrustDomainPlan, 'clusters'>,
  changes: readonly ClusterChange[],
): string[] {
  return changes.flatMap(({ cluster, changesImage, addServers, addWorkloads }) => {
    const image = clusters.find(({ name }) => name === cluster)?.image ?? '';
    return [
      ...(changesImage ? [`roll cluster ${cluster} to ${image}`] : []),
      ...addServers.map((name) => `add server ${name} to cluster ${cluster}`),
      ...addWorkloads.map((id) => `register ${id} in cluster ${cluster}`),
    ];
  });
}

export function narrowingOfClusters({
  changeClusters,
  removeClusters,
}: Pick<ClusterComparison, 'changeClusters' | 'removeClusters'>): string[] {
  return [
    ...changeClusters.flatMap(({ cluster, removeEntries, removeServers }) => [
      ...removeEntries.map(({ spiffeId }) => `take ${spiffeId} from cluster ${cluster}`),
      ...removeServers.map((name) => `take server ${name} from cluster ${cluster}`),
    ]),
    ...removeClusters.map(({ name, found }) =>
      found === undefined || found.servers.length === 0
        ? `take away what is left of cluster ${name}`
        : `take away cluster ${name}: its workloads' entries, its agents, ${found.servers.length} servers, their database`,
    ),
  ];
}

/** In place a cluster changes its image, the number of its servers, and its workloads. */
function refusalsOf(cluster: ClusterPlan, found: FoundCluster | null, { downstream }: LookedClusters): string[] {
  const { name, downstreamId } = cluster;
  const place = cluster.context === undefined ? 'the cluster of the worker' : `context ${cluster.context}`;
  if (found === null || found.settings === null) {
    return downstream.some(({ spiffeId }) => spiffeId === downstreamId)
      ? [`clusters.${name}.context: its servers are not in ${place}, and a cluster does not move`]
      : [
          `clusters.${name}: it has no server, and an update grows none: the upstream attests the servers of those clusters that it was made with, and is not made anew, as its root authority would go with it`,
        ];
  }
  if (found.name !== name) return [`clusters.${name}: ${place} has cluster ${found.name}, and carries no other`];
  const made = entriesOf(found, downstream).find(({ spiffeId }) => spiffeId !== downstreamId);
  const unknown = cluster.servers.filter((server) => !found.nodes.some((node) => node.name === server));
  return [
    ...(made === undefined
      ? []
      : [
          `clusters.${name}.platform: its servers are ${made.spiffeId} to the upstream and do not become ${downstreamId}`,
        ]),
    ...settingRefusals(cluster, found.settings),
    ...(unknown.length === 0
      ? []
      : [
          `clusters.${name}.servers: ${unknown.join(', ')} ${unknown.length === 1 ? 'has' : 'have'} no certificate by which the upstream would attest them, and its authority's key is gone: at most ${found.nodes.length} can run`,
        ]),
  ];
}

function settingRefusals(cluster: ClusterPlan, made: ServerSettings): string[] {
  const reasons: Readonly<Record<keyof ServerSettings, readonly [string, string]>> = {
    storageClass: ['storageClass', 'of volumes that are there Kubernetes changes no class'],
    expose: ['expose', 'while it changes, nobody could reach the servers'],
    caTtl: ['intermediateTtl', "its servers keep it, as a segment's do"],
  };
  return (['storageClass', 'expose', 'caTtl'] as const).flatMap((key) => {
    const [wanted = 'none', has = 'none'] = [cluster[key], made[key]];
    const [field, reason] = reasons[key];
    return wanted === has
      ? []
      : [`clusters.${cluster.name}.${field}: it was made with ${has} and ${wanted} is wanted: ${reason}`];
  });
}

function changesOf(cluster: ClusterPlan, { found, entries }: Planned, { downstream }: LookedClusters): ClusterChange[] {
  if (found === null) return [];
  const standing = found.servers.map(({ name }) => name);
  const parents = entriesOf(found, downstream).map(({ parentId }) => parentId);
  const known = found.nodes.filter(({ agentId }) => parents.includes(agentId)).map(({ name }) => name);
  const change: ClusterChange = {
    cluster: cluster.name,
    before: found,
    changesImage: found.images.some((image) => image !== cluster.image),
    addServers: without(cluster.servers, standing),
    // Whatever an earlier run has left of one: its objects, or that the upstream takes it for a server.
    removeServers: without([...new Set([...standing, ...found.left, ...known])].toSorted(), cluster.servers),
    ...changedEntries(cluster.workloads, entries),
  };
  const { changesImage, addServers, removeServers, addWorkloads, removeEntries } = change;
  const isOne =
    changesImage || [addServers, removeServers, addWorkloads, removeEntries].some(({ length }) => length > 0);
  return isOne ? [change] : [];
}

/** Two contexts may lead to one cluster: it is known by what it is, not by how it is reached. */
function goneClusters(clusters: readonly ClusterPlan[], { planned, found, downstream }: LookedClusters): GoneCluster[] {
  const standing = planned.flatMap((one) => one.found ?? []);
  const seen = new Set(standing.map(({ uid }) => uid));
  const gone = found.flatMap((one): GoneCluster[] => {
    if (seen.has(one.uid) || clusters.some(({ name }) => name === one.name)) return [];
    seen.add(one.uid);
    return [{ name: one.name, found: one, entries: entriesOf(one, downstream) }];
  });
  const told = [...standing, ...gone.flatMap((one) => one.found ?? [])];
  const rest = downstream.filter(
    (entry) =>
      entry.isOurs &&
      entry.parentId.includes(byCertificate) &&
      !clusters.some(({ downstreamId }) => downstreamId === entry.spiffeId) &&
      !told.some(({ nodes }) => nodes.some(({ agentId }) => agentId === entry.parentId)),
  );
  const names = [...new Set(rest.map(({ spiffeId }) => spiffeId))];
  return [...gone, ...names.map((name) => ({ name, entries: rest.filter(({ spiffeId }) => spiffeId === name) }))];
}

/** Servers in instances are attested by their clouds. */
const byCertificate = '/spire/agent/x509pop/';

function entriesOf({ nodes }: FoundCluster, downstream: readonly ParentedEntry[]): ParentedEntry[] {
  return downstream.filter(({ isOurs, parentId }) => isOurs && nodes.some(({ agentId }) => agentId === parentId));
}
