// Where the instances of a trust domain are on Google Cloud: new ones are made in a region's zone `a`, and all are found in whichever of its zones they run,
// also where somebody has moved them.
import type { protos } from '@google-cloud/compute';
import { digest, stem } from '../cloud.ts';
import { failure } from '../failures.ts';
import type { GcpCompute } from './gcp-compute.ts';
import { unlessAbsent } from './gcp-errors.ts';

export type GcpInstance = protos.google.cloud.compute.v1.IInstance;

export interface GcpInstances {
  readonly find: (trustDomain: string, name: string, region: string) => Promise<GcpInstance | undefined>;
  readonly list: (region: string, trustDomain: string) => Promise<GcpInstance[]>;
  readonly listEverywhere: (trustDomain: string) => Promise<GcpInstance[]>;
}

/** Pages are asked for one by one in any case; left unsaid, the client warns of that. */
const paging = { autoPaginate: false } as const;

export const homeZoneOf = (region: string): string => `${region}-a`;
export const instanceNameOf = (trustDomain: string, name: string): string => `${stem(trustDomain)}-${name}`;

/** The end of the instance's `zone`, which is an address. */
export function zoneOf({ zone, name }: GcpInstance): string {
  const found = /[^/]+$/.exec(zone ?? '')?.[0];
  if (found === undefined) throw failure('Unavailable', `gcp says no zone of instance ${name ?? ''}`);
  return found;
}

/** `us-central1-a` is of region `us-central1`. */
export function regionOf(instance: GcpInstance): string {
  return zoneOf(instance).replace(/-[a-z]$/, '');
}

export function createGcpInstances({ project, connect }: GcpCompute): GcpInstances {
  async function listAll(filter: string): Promise<GcpInstance[]> {
    const { instances } = await connect();
    const found: GcpInstance[] = [];
    for await (const [scope, { instances: listed, warning }] of instances.aggregatedListAsync(
      { project, filter },
      paging,
    )) {
      // A zone that does not answer is no zone without instances.
      if (warning?.code === 'UNREACHABLE')
        throw failure('Unavailable', `gcp ${scope} cannot be reached: ${warning.message ?? ''}`);
      found.push(...(listed ?? []));
    }
    return found;
  }

  return {
    async find(trustDomain, name, region) {
      const { instances } = await connect();
      const instance = instanceNameOf(trustDomain, name);
      // What was made a moment ago is there, while a list may not have it yet.
      const atHome = await unlessAbsent(() => instances.get({ project, zone: homeZoneOf(region), instance }));
      if (atHome !== undefined) return atHome[0];
      const elsewhere = (await listAll(`name=${instance}`)).filter((one) => regionOf(one) === region);
      const [first, ...others] = elsewhere;
      if (others.length > 0)
        throw failure('Conflict', `instance ${name} runs more than once: in ${elsewhere.map(zoneOf).join(' and ')}`);
      return first;
    },
    async list(region, trustDomain) {
      return (await listAll(filterOf(trustDomain))).filter((one) => regionOf(one) === region);
    },
    listEverywhere: (trustDomain) => listAll(filterOf(trustDomain)),
  };
}

function filterOf(trustDomain: string): string {
  return `labels.espalier-trust-domain=${digest(trustDomain).slice(0, 8)}`;
}
