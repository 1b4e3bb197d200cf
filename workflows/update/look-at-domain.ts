// What runs, asked of the clouds and the servers, and what the specification wants otherwise. Changes nothing.
import { patched } from '@temporalio/workflow';
import type { Where } from '../../activities/inputs.ts';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import type { Comparison } from '../../activities/update/update.ts';
import { onCloud, onUpdate } from '../lib/calls.ts';
import { whereOf } from '../lib/removals.ts';
import { lookAtClusters } from './look-at-clusters.ts';

/** Nothing of a trust domain is in a cloud that none of these is. */
const clouds = ['gcp', 'aws'] as const;

export async function lookAtDomain(plan: TrustDomainPlan): Promise<Comparison> {
  const where = whereOf(plan.spec);
  const placed = (await Promise.all(clouds.map((cloud) => onCloud(cloud, 'validation').listPlaced(where)))).flat();
  const entries = await Promise.all(
    plan.segments
      .filter(({ pool }) => placed.some(({ role }) => role === pool.identity))
      .map(async ({ name, aliasId, pool, cloud, region }) => {
        const [server = ''] = placed.find(({ role }) => role === pool.identity)?.names ?? [];
        const { address } = await onCloud(cloud, 'validation').waitForInstance({ ...where, region, name: server });
        const asked = { trustDomain: where.trustDomain, address, parentId: aliasId };
        return { segment: name, found: await onUpdate().listEntries(asked) };
      }),
  );
  const remains = patched('what is left of segments is looked for') ? await remainsIn(where) : undefined;
  const inClusters = await lookAtClusters(plan, placed);
  return onUpdate().compareDomain({
    ...{ plan, placed, entries },
    ...(remains === undefined ? {} : { remains }),
    ...(inClusters === undefined ? {} : { inClusters }),
  });
}

/** A segment whose instances are gone may have left a database or an identity behind. */
async function remainsIn(where: Where) {
  const found = await Promise.all(
    clouds.map(async (cloud) => {
      const remains = await onCloud(cloud, 'validation').listRemains(where);
      return remains.map((one) => ({ ...one, cloud }));
    }),
  );
  return found.flat();
}
