// What runs, asked of the clouds and the servers, and what the specification wants otherwise. Changes nothing.
import { patched } from '@temporalio/workflow';
import type { Where } from '../../activities/inputs.ts';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import type { Comparison } from '../../activities/update/update.ts';
import { onCloud, onCluster, onUpdate } from '../lib/calls.ts';
import { whereOf } from '../lib/removals.ts';

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
  const clusters = await settingsIn(plan);
  return onUpdate().compareDomain({
    ...{ plan, placed, entries },
    ...(remains === undefined ? {} : { remains }),
    ...(clusters === undefined ? {} : { clusters }),
  });
}

/** What the servers of the specification's clusters were made with. */
async function settingsIn({ spec, clusters }: TrustDomainPlan) {
  const { trustDomain } = spec;
  if (clusters === undefined) return undefined;
  return Promise.all(
    clusters.map(async (cluster) => ({
      name: cluster.name,
      settings: await onCluster('validation').readClusterSettings({ trustDomain, cluster }),
    })),
  );
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
