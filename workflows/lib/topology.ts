// Where a planned trust domain's servers are now: their addresses are their clouds' to say.
import type { ClusterServer } from '../../activities/clusters/cluster.ts';
import type { ClusterPlan, Instance, ServerPool, TrustDomainPlan } from '../../activities/plan.ts';
import type { Tier, Topology } from '../../activities/trust/topology.ts';
import { onCloud, onCloudOnce, onCluster, onClusterOnce } from './calls.ts';
import { rootMessage } from './failure-message.ts';
import { required } from './required.ts';
import { whereOf } from './removals.ts';
import { settleAll } from './saga.ts';

/** Throws where one of them does not run. */
export async function findTopology(plan: TrustDomainPlan): Promise<Topology> {
  const servers = await settleAll(poolsOf(plan).map((pool) => findServers(plan, pool)));
  const { trustDomain } = plan.spec;
  const inClusters = await settleAll(
    (plan.clusters ?? []).map((cluster) => onCluster('validation').waitForClusterServer({ trustDomain, cluster })),
  );
  return topologyOf(plan, [...servers, ...inClusters]);
}

export interface FoundTopology {
  readonly topology: Topology;
  /** Servers that their clouds do not list as running, and why. */
  readonly absent: readonly string[];
}

/** The same, where some of it may be broken: a tier keeps the servers that there are. */
export async function findTopologyAsItIs(plan: TrustDomainPlan): Promise<FoundTopology> {
  const absent: string[] = [];
  const find = async ({ cloud, region, servers }: ServerPool): Promise<Instance[]> => {
    const { waitForInstance } = onCloudOnce(cloud);
    const found = await Promise.all(
      servers.map((name) =>
        waitForInstance({ ...whereOf(plan.spec), region, name }).catch((cause: unknown) => {
          absent.push(`${name}: ${rootMessage(cause)}`);
        }),
      ),
    );
    return found.flatMap((instance) => instance ?? []);
  };
  const servers = await Promise.all(poolsOf(plan).map(find));
  const { trustDomain } = plan.spec;
  const inClusters = await Promise.all(
    (plan.clusters ?? []).map((cluster) =>
      onClusterOnce()
        .waitForClusterServer({ trustDomain, cluster })
        .catch((cause: unknown): ClusterServer[] => {
          absent.push(`${cluster.name}: ${rootMessage(cause)}`);
          return [];
        }),
    ),
  );
  return { topology: topologyOf(plan, [...servers, ...inClusters]), absent: absent.toSorted() };
}

function findServers(plan: TrustDomainPlan, pool: ServerPool): Promise<Instance[]> {
  return findInstances(plan, pool, pool.servers);
}

/** Throws where one of them does not run after what the phase allows. */
export function findInstances(
  { spec }: TrustDomainPlan,
  { cloud, region }: Pick<ServerPool, 'cloud' | 'region'>,
  names: readonly string[],
  phase: Parameters<typeof onCloud>[1] = 'validation',
): Promise<Instance[]> {
  const { waitForInstance } = onCloud(cloud, phase);
  return settleAll(names.map((name) => waitForInstance({ ...whereOf(spec), region, name })));
}

/** The root's first. */
export function poolsOf({ upstream, segments }: TrustDomainPlan): ServerPool[] {
  return [upstream, ...segments.map(({ pool }) => pool)];
}

/** Throws InvalidRequest where the plan has none of the name. */
export function clusterOf({ clusters = [] }: TrustDomainPlan, name: string): ClusterPlan {
  return required(
    clusters.find((cluster) => cluster.name === name),
    `no cluster has the name ${JSON.stringify(name)}`,
  );
}

/** `servers`: of each pool, in the order of the pools, and then of each cluster. */
function topologyOf(plan: TrustDomainPlan, servers: readonly (readonly ClusterServer[])[]): Topology {
  const { upstream, spec, clusters = [] } = plan;
  const tiers = [...poolsOf(plan), ...clusters].map(({ name }, index): Tier => ({
    name,
    ...(name === upstream.name ? {} : { parent: upstream.name }),
    servers: (servers[index] ?? []).map(({ name: server, address }) => ({ name: server, address })),
  }));
  return { trustDomain: spec.trustDomain, tiers };
}
