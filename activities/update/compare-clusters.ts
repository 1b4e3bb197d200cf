// What a specification wants otherwise of clusters than they are: an update changes none, and says of which. Pure.
import { clusterPart, readSettings } from '../cloud.ts';
import { settingsOfCluster } from '../clusters/settings.ts';
import type { TrustDomainPlan } from '../plan.ts';
import type { MadeCluster, PlacedGroup } from './update.ts';

export function clusterRefusals(
  plan: TrustDomainPlan,
  placed: readonly PlacedGroup[],
  made: readonly MadeCluster[],
): string[] {
  const { spec, clusters = [] } = plan;
  const wanted = clusterPart(spec);
  const others = placed
    .filter(({ role }) => role === 'upstream')
    .flatMap(({ settings }) => settings.map((text) => readSettings(text).clusters))
    .filter((made) => made !== wanted);
  const isOther = others.length > 0;
  const names = clusters.map(({ name }) => name).join(', ');
  return [
    ...(isOther
      ? [
          `clusters: the upstream was made for ${others[0] === undefined ? 'none' : 'other clusters'}, and the specification has ${names === '' ? 'none' : names}: an update neither adds one nor takes one away`,
        ]
      : []),
    ...clusters.flatMap((cluster) => {
      const settings = made.find(({ name }) => name === cluster.name)?.settings ?? null;
      if (settings === settingsOfCluster(spec, cluster)) return [];
      if (settings === null)
        return isOther ? [] : [`clusters.${cluster.name}: it has no server, and an update makes none`];
      return [
        `clusters.${cluster.name}: it was made with another image, number of servers, lifetime, exposure, storage class, platform or other workloads, and an update changes no cluster`,
      ];
    }),
  ];
}
