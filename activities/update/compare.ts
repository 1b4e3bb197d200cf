// What a specification wants otherwise than it is: from the clouds' lists of instances and the servers' entries, never from a copy of an earlier
// specification. Pure.
import type { SegmentPlan, TrustDomainPlan } from '../plan.ts';
import { readSettings, settingsOf } from '../cloud.ts';
import type { SegmentRemains } from '../cloud.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';
import { changedEntries, sameSet, without } from './changed-entries.ts';
import { compareClusters, narrowingOfClusters, wideningOfClusters } from './compare-clusters.ts';
import type { Comparison, FoundEntry, GoneSegment, LookedClusters, PlacedGroup, SegmentChange } from './update.ts';

type Remains = SegmentRemains & { readonly cloud: Cloud };

interface Running {
  readonly plan: TrustDomainPlan;
  readonly placed: readonly PlacedGroup[];
  readonly remains?: readonly Remains[] | undefined;
  readonly inClusters?: LookedClusters | undefined;
  readonly entries: readonly { readonly segment: string; readonly found: readonly FoundEntry[] }[];
}

export function compareDomain({ plan, placed, remains = [], inClusters, entries }: Running): Comparison {
  const running = runningSegments(placed);
  const known = plan.segments.filter(({ name }) => running.some((one) => one.name === name));
  const changes = known.map((segment) =>
    changeOf(
      segment,
      running.find(({ name }) => name === segment.name),
      entries.find((one) => one.segment === segment.name)?.found ?? [],
    ),
  );
  const addSegments = plan.segments.filter((segment) => !known.includes(segment)).map(({ name }) => name);
  const removeSegments = [...running, ...leftSegments(remains, running)].filter(
    (one) => !plan.segments.some(({ name }) => name === one.name),
  );
  const { refusals, ...clusters } = compareClusters(plan, inClusters);
  const belowAliases = [
    ...entries,
    ...(inClusters?.planned ?? []).map(({ name, entries: found }) => ({ segment: name, found })),
  ];
  const comparison = {
    refusals: [...refusalsOf(plan, placed, running), ...refusals],
    addSegments,
    changes: changes.filter(isChange),
    removeSegments,
    ...(inClusters === undefined ? {} : clusters),
    left: belowAliases.flatMap(({ segment, found }) =>
      found
        .filter(({ isOurs, spiffeId }) => !isOurs && !isWanted(plan, segment, spiffeId))
        .map(({ spiffeId }) => `${spiffeId} below ${segment}`),
    ),
  };
  const widening = [...wideningSteps(comparison), ...wideningOfClusters(plan, clusters.changeClusters)];
  const narrowing = [...narrowingSteps(comparison), ...narrowingOfClusters(clusters)];
  return { ...comparison, steps: [...widening, ...narrowing], narrows: narrowing.length > 0 };
}

/** Groups by what their roles say: `server-<segment>` and `node-<segment>`. */
function runningSegments(placed: readonly PlacedGroup[]): GoneSegment[] {
  const segments = new Map<string, GoneSegment>();
  for (const { cloud, region, role, names } of placed) {
    const [, kind, name = ''] = /^(server|node)-(.+)$/.exec(role) ?? [];
    if (kind === undefined) continue;
    const before = segments.get(name) ?? { name, cloud, region, servers: [], nodes: [] };
    const part =
      kind === 'server' ? { servers: [...before.servers, ...names] } : { nodes: [...before.nodes, ...names] };
    segments.set(name, { ...before, ...part });
  }
  return [...segments.values()];
}

/**
 * Segments of which nothing runs and something is left: of an update that could not take it away. Where the databases are, both clouds see them: what else
 * is left says whose they are.
 */
function leftSegments(remains: readonly Remains[], running: readonly GoneSegment[]): GoneSegment[] {
  const left = new Map<string, GoneSegment>();
  const told = remains.toSorted((a, b) => Number(a.kind === 'database') - Number(b.kind === 'database'));
  for (const { cloud, segment: name, region = '' } of told) {
    if (running.some((one) => one.name === name)) continue;
    const before = left.get(name);
    if (before === undefined || (before.region === '' && region !== '' && before.cloud === cloud))
      left.set(name, { name, cloud, region, servers: [], nodes: [] });
  }
  return [...left.values()];
}

function changeOf(segment: SegmentPlan, running: GoneSegment | undefined, found: readonly FoundEntry[]): SegmentChange {
  const { servers = [], nodes = [] } = running ?? {};
  return {
    segment: segment.name,
    addServers: without(segment.pool.servers, servers),
    addNodes: without(segment.nodes, nodes),
    removeServers: without(servers, segment.pool.servers),
    removeNodes: without(nodes, segment.nodes),
    ...changedEntries(segment.workloads, found),
  };
}

function refusalsOf(plan: TrustDomainPlan, placed: readonly PlacedGroup[], running: readonly GoneSegment[]): string[] {
  const upstream = placed.filter(({ role }) => role === 'upstream');
  const names = upstream.flatMap((group) => group.names);
  if (names.length === 0) return [`nothing of ${plan.spec.trustDomain} runs: start bootstrapTrustDomain`];
  const { cloud, region, servers } = plan.upstream;
  const moved = upstream.filter((group) => group.cloud !== cloud || group.region !== region);
  const pools = [plan.upstream, ...plan.segments.map(({ pool }) => pool)];
  return [
    ...moved.map(
      (group) =>
        `upstream: the root of trust runs in ${group.cloud} ${group.region} and does not move to ${cloud} ${region}`,
    ),
    ...(sameSet(names, servers)
      ? []
      : [
          `upstream.servers: ${names.length} run and ${servers.length} are wanted: each has a root authority of its own, which only a rotation adds or takes away`,
        ]),
    ...running.flatMap(({ name, cloud: is, region: at }) => {
      const wanted = plan.segments.find((one) => one.name === name);
      if (wanted === undefined || (wanted.cloud === is && wanted.region === at)) return [];
      return [
        `segments.${name}: it runs in ${is} ${at} and does not move to ${wanted.cloud} ${wanted.region}: give the new one another name`,
      ];
    }),
    ...pools.flatMap((pool) => {
      const made = placed.filter(({ role }) => role === pool.identity).flatMap(({ settings }) => settings);
      return madeOtherwise(settingsOf(plan.spec, pool), made, pool.name);
    }),
  ];
}

/** Servers that attest more clouds than they need to stay as they are. */
function madeOtherwise(wanted: string, made: readonly string[], pool: string): string[] {
  const { settings, clouds } = readSettings(wanted); // of clusters another text tells
  const others = made.filter((one) => readSettings(one).settings !== settings);
  const lacking = clouds.filter((cloud) => made.some((one) => !readSettings(one).clouds.includes(cloud)));
  return [
    ...(others.length === 0
      ? []
      : [
          `keyType, ttl, intermediateTtl: the servers of ${pool} were made with others, and keep them: a segment of another name has new ones`,
        ]),
    ...lacking.map(
      (cloud) => `segments: the servers of ${pool} attest no nodes of ${cloud}, and were made without what that needs`,
    ),
  ];
}

function wideningSteps({ addSegments, changes }: Pick<Comparison, 'addSegments' | 'changes'>): string[] {
  return [
    ...addSegments.map((name) => `grow segment ${name}`),
    ...changes.flatMap(({ segment, addServers, addNodes, addWorkloads }) => [
      ...addServers.map((name) => `add server ${name} to ${segment}`),
      ...addNodes.map((name) => `add node ${name} to ${segment}`),
      ...addWorkloads.map((id) => `register ${id} in ${segment}`),
    ]),
  ];
}

function narrowingSteps({ changes, removeSegments }: Pick<Comparison, 'changes' | 'removeSegments'>): string[] {
  return [
    ...changes.flatMap(({ segment, removeEntries, removeNodes, removeServers }) => [
      ...removeEntries.map(({ spiffeId }) => `take ${spiffeId} from ${segment}`),
      ...removeNodes.map((name) => `take node ${name} from ${segment}`),
      ...removeServers.map((name) => `take server ${name} from ${segment}`),
    ]),
    ...removeSegments.map(({ name, nodes, servers }) =>
      nodes.length + servers.length === 0
        ? `take away what is left of segment ${name}`
        : `take away segment ${name}: ${nodes.length} nodes, ${servers.length} servers, their database`,
    ),
  ];
}

function isChange(change: SegmentChange): boolean {
  const { addServers, addNodes, addWorkloads, removeServers, removeNodes, removeEntries } = change;
  return [addServers, addNodes, addWorkloads, removeServers, removeNodes, removeEntries].some(
    ({ length }) => length > 0,
  );
}

function isWanted(plan: TrustDomainPlan, segment: string, spiffeId: string): boolean {
  return [...plan.segments, ...(plan.clusters ?? [])].some(
    ({ name, workloads }) => name === segment && workloads.some((workload) => workload.spiffeId === spiffeId),
  );
}
