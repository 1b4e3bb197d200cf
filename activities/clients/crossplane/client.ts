// A cloud by way of Crossplane: networks, identities and machines are objects of our kinds in Kubernetes, which its providers make true. What it has no
// kinds for – secrets' values, consoles, commands on nodes, what a cloud lists – is asked of the cloud's own client.
import type { CloudClient, CloudResource } from '../../cloud.ts';
import { placeCidr, placeName } from '../../spec/resource-names.ts';
import type { Cloud } from '../../spec/trust-domain-spec.ts';
import { createComposites, isComposed } from './composites.ts';
import { createCrossplaneIdentities } from './identities.ts';
import { createCrossplaneMachines } from './machines.ts';
import { kinds } from './objects.ts';
import type { CompositeObject, Kind, Objects } from './objects.ts';
import { commonSpec, trustDomainLabels } from './settings.ts';
import type { CrossplaneSettings } from './settings.ts';

export interface CrossplaneClientOptions {
  readonly objects: Objects;
  readonly cloud: Cloud;
  readonly settings: CrossplaneSettings;
  readonly direct: CloudClient;
}

/** The trust domain's networks elsewhere: all of them are of this one. */
const privateNetworks = ['10.0.0.0/8'];
const resourceKinds = {
  SpireNetwork: 'network',
  SpireDatastore: 'database',
  SpireIdentity: 'identity',
  SpireMachine: 'instance',
} as const;

export function createCrossplaneClient(options: CrossplaneClientOptions): CloudClient {
  const { objects, cloud, settings, direct } = options;
  const composites = createComposites(objects);
  return {
    ...direct,
    ...createCrossplaneIdentities(composites, cloud, settings),
    ...createCrossplaneMachines({ objects, composites, cloud, settings, direct }),

    async ensureNetwork({ trustDomain, region }) {
      await composites.ensure({
        kind: 'SpireNetwork',
        name: placeName(trustDomain, cloud, region),
        labels: trustDomainLabels(trustDomain),
        spec: {
          ...commonSpec(settings, cloud, trustDomain),
          region,
          cidr: placeCidr(cloud, region),
          peerCidrs: privateNetworks,
          workloadCidrs: privateNetworks,
        },
      });
    },
    removeNetwork: ({ trustDomain, region }) =>
      composites.remove('SpireNetwork', placeName(trustDomain, cloud, region)),

    async listResources(input) {
      const labels = trustDomainLabels(input.trustDomain);
      const found = await Promise.all(kinds.map((kind) => objects.list(kind, labels)));
      const own = found
        .flat()
        .filter((object) => object.spec['cloud'] === cloud && !isComposed(object))
        .map(resourceOf);
      return [...own, ...(await direct.listResources(input))];
    },
  };
}

function resourceOf({ kind, metadata, spec }: CompositeObject): CloudResource {
  const owner = spec['owner'];
  return {
    kind: resourceKinds[kind as Kind],
    name: `${kind} ${metadata.name}`,
    owner: typeof owner === 'string' ? owner : undefined,
  };
}
