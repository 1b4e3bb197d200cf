// What workflows find standing when they grow a trust domain: a network in each place, and a datastore for each pool of servers. The identities and the
// machines are theirs to make, by the same names: only they know what a machine boots with.
import { partName, placeCidr, placeName } from '../../../../activities/spec/resource-names.ts';
import type { Scope } from '../../composed.ts';
import { commonOf, datastoreSpec } from './children.ts';
import type { Child } from './children.ts';
import type { Place, WholeSpec } from './specification.ts';

export function foundationOf(scope: Scope, whole: WholeSpec): Child[] {
  const { trustDomain } = whole.trustDomain;
  const places = placesOf(whole);
  return [
    ...places.map((place): Child => {
      const cidr = placeCidr(place.cloud, place.region);
      const peerCidrs = places.filter((other) => other !== place).map(({ cloud, region }) => placeCidr(cloud, region));
      return {
        part: networkPart(place),
        name: placeName(trustDomain, place.cloud, place.region),
        kind: 'SpireNetwork',
        // Any place may have nodes, and workloads of one speak with one another too.
        spec: { ...commonOf(whole, place), cidr, peerCidrs, workloadCidrs: [cidr, ...peerCidrs] },
      };
    }),
    ...whole.pools.map((pool): Child => ({
      part: `datastore-${pool.name}`,
      name: partName(trustDomain, pool.name),
      kind: 'SpireDatastore',
      spec: datastoreSpec(scope, whole, pool, placeName(trustDomain, pool.cloud, pool.region)),
    })),
  ];
}

export function networkPart({ cloud, region }: Place): string {
  return `network-${cloud}-${region}`;
}

function placesOf({ pools }: WholeSpec): Place[] {
  const isSame = (a: Place, b: Place): boolean => a.cloud === b.cloud && a.region === b.region;
  return pools
    .filter((pool, index) => index === pools.findIndex((other) => isSame(pool, other)))
    .map(({ cloud, region }) => ({ cloud, region }));
}
