// Takes a trust domain away, in the reverse order of its growth: goes on when a step fails, is content with what is gone already, and ends
// with a report of what a person must clean up.
import type { TrustDomainPlan } from '../activities/plan.ts';
import { listClusters } from './grow-cluster.ts';
import { onCloud } from './lib/calls.ts';
import {
  authorityRemovals,
  clusterRemoval,
  datastoreRemoval,
  federatedRoleRemoval,
  identityRemoval,
  networkRemoval,
  nodeRemovals,
  serverRemovals,
  whereOf,
  workerIdentityRemoval,
} from './lib/removals.ts';
import { removeTogether } from './lib/saga.ts';
import { poolsOf } from './lib/topology.ts';
import type { FailedRemoval, Removal } from './lib/saga.ts';

export interface RemovalReport {
  readonly trustDomain: string;
  /** What a person must clean up; empty when nothing is left. */
  readonly left: readonly FailedRemoval[];
}

export async function removeTrustDomain(plan: TrustDomainPlan): Promise<RemovalReport> {
  const failed: FailedRemoval[] = [];
  for (const step of removalSteps(plan)) failed.push(...(await removeTogether(step)));
  const found = await findLeftovers(plan);
  return { trustDomain: plan.spec.trustDomain, left: [...failed, ...found] };
}

/** Each step is begun when the one before it has ended; what is in one step goes together. */
function removalSteps(plan: TrustDomainPlan): Removal[][] {
  const { spec, segments, clusters = [], upstream, places } = plan;
  const pools = poolsOf(plan);
  return [
    [
      ...segments.flatMap((segment) => nodeRemovals(spec, segment)),
      ...clusters.map((cluster) => clusterRemoval(spec, cluster)),
    ],
    segments.flatMap(({ pool }) => serverRemovals(spec, pool)),
    [...serverRemovals(spec, upstream), workerIdentityRemoval(spec)],
    [
      ...segments.map(({ cloud, nodeIdentity }) => identityRemoval(spec, cloud, nodeIdentity)),
      ...pools.map(({ cloud, identity }) => identityRemoval(spec, cloud, identity)),
      ...(upstream.assumesAwsRole ? [federatedRoleRemoval(spec)] : []),
      ...pools.map((pool) => datastoreRemoval(spec, pool)),
      ...authorityRemovals(spec, upstream),
    ],
    places.map(({ cloud, region }) => networkRemoval(spec, cloud, region)),
  ];
}

const stillListed = 'still listed after the tear-down';

/** What the clouds and clusters still list, whoever made it. */
async function findLeftovers(plan: TrustDomainPlan): Promise<FailedRemoval[]> {
  const { spec, places } = plan;
  const clouds = [...new Set(places.map(({ cloud }) => cloud))];
  const found = await Promise.all(
    clouds.map(async (cloud) => {
      const regions = places.filter((place) => place.cloud === cloud).map(({ region }) => region);
      const resources = await onCloud(cloud, 'removal').listResources({ ...whereOf(spec), regions });
      return resources.map(({ kind, name }) => ({ name: `${cloud} ${kind} ${name}`, reason: stillListed }));
    }),
  );
  const inClusters = await listClusters(plan, 'removal');
  return [
    ...found.flat(),
    ...inClusters.map(({ kind, name }) => ({ name: `cluster ${kind} ${name}`, reason: stillListed })),
  ];
}
