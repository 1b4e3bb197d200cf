// Where a planned trust domain's servers are now: their addresses are their clouds' to say.
import type { ServerPool, TrustDomainPlan } from '../../activities/plan.ts';
import type { Tier, Topology } from '../../activities/trust/topology.ts';
import { onCloud } from './calls.ts';
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
