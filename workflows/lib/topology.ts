// Where a planned trust domain's servers are now: their addresses are their clouds' to say.
import type { ServerPool, TrustDomainPlan } from '../../activities/plan.ts';
import type { Tier, Topology } from '../../activities/trust/topology.ts';
import { onCloud, onCloudOnce } from './calls.ts';
import { rootMessage } from './failure-message.ts';
import { whereOf } from './removals.ts';
import { settleAll } from './saga.ts';

export async function findTopology(plan: TrustDomainPlan): Promise<Topology> {
  const { upstream, segments, spec } = plan;
  const tiers = await settleAll([
    findTier(plan, upstream),
    ...segments.map(({ pool }) => findTier(plan, pool, upstream.name)),
  ]);
  return { trustDomain: spec.trustDomain, tiers };
}

export interface FoundTopology {
  readonly topology: Topology;
  /** Servers that their clouds do not list as running, and why. */
  readonly absent: readonly string[];
}

/** The same, where some of it may be broken: a tier keeps the servers that there are. */
export async function findTopologyAsItIs(plan: TrustDomainPlan): Promise<FoundTopology> {
  const { upstream, segments, spec } = plan;
  const absent: string[] = [];
  const find = async ({ cloud, region, name, servers }: ServerPool, parent?: string): Promise<Tier> => {
    const { waitForInstance } = onCloudOnce(cloud);
    const found = await Promise.all(
      servers.map((server) =>
        waitForInstance({ ...whereOf(spec), region, name: server }).catch((cause: unknown) => {
          absent.push(`${server}: ${rootMessage(cause)}`);
        }),
      ),
    );
    const running = found.flatMap((instance) => (instance === undefined ? [] : [instance]));
    return {
      name,
      ...(parent === undefined ? {} : { parent }),
      servers: running.map(({ name: server, address }) => ({ name: server, address })),
    };
  };
  const tiers = await Promise.all([find(upstream), ...segments.map(({ pool }) => find(pool, upstream.name))]);
  return { topology: { trustDomain: spec.trustDomain, tiers }, absent: absent.toSorted() };
}

async function findTier(plan: TrustDomainPlan, pool: ServerPool, parent?: string): Promise<Tier> {
  const { cloud, region, name, servers } = pool;
  const { waitForInstance } = onCloud(cloud, 'validation');
  const instances = await settleAll(
    servers.map((server) => waitForInstance({ ...whereOf(plan.spec), region, name: server })),
  );
  return {
    name,
    ...(parent === undefined ? {} : { parent }),
    servers: instances.map(({ name: server, address }) => ({ name: server, address })),
  };
}
