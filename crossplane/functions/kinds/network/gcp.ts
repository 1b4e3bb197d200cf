// A network in Google Cloud: one subnetwork that spans the region's zones, and firewall rules by network tags, with everything else refused both ways.
import { reported } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { partLabels, partOf } from '../../parts.ts';
import type { NetworkSpec } from '../../specs.ts';
import { ports, portsOf, rulesOf } from './rules.ts';
import type { Rule } from './rules.ts';

/** Where Google's health checks come from. */
const healthCheckRanges = ['130.211.0.0/22', '35.191.0.0/16'];
const anywhere = ['0.0.0.0/0'];
/** After every rule of ours, before Google's own that let everything out. */
const lastPriority = 65000;

export const networkTags = { servers: 'spire-servers', nodes: 'spire-nodes' } as const;
/** Of a machine that is cut off; before every rule of ours. */
export const isolatedTag = 'spire-isolated';
const firstPriority = 0;

export function buildGcpNetwork(scope: Scope, spec: NetworkSpec): Built {
  const project = spec.project === undefined ? {} : { project: spec.project };
  const make = (name: string, kind: string, forProvider: Json): Composed =>
    managedResource(scope, {
      name,
      group: 'compute.gcp',
      kind,
      labels: partLabels(scope, scope.name, name),
      forProvider: { ...project, ...forProvider },
    });
  const networkSelector = partOf(scope, scope.name, 'network');
  const healthChecks: Rule = {
    name: 'balancer-health',
    of: 'servers',
    direction: 'ingress',
    protocol: 'tcp',
    port: ports.health,
    cidrs: healthCheckRanges,
  };
  return {
    resources: [
      make('network', 'Network', { autoCreateSubnetworks: false, routingMode: 'REGIONAL' }),
      make('subnetwork', 'Subnetwork', {
        region: spec.region,
        ipCidrRange: spec.cidr,
        privateIpGoogleAccess: true,
        networkSelector,
      }),
      ...[...rulesOf(spec), healthChecks].map((rule) =>
        make(rule.name, 'Firewall', { networkSelector, ...firewall(rule) }),
      ),
      ...(['INGRESS', 'EGRESS'] as const).flatMap((direction) => [
        make(`refuse-${direction.toLowerCase()}`, 'Firewall', {
          networkSelector,
          ...refuse(direction, lastPriority, Object.values(networkTags)),
        }),
        make(`isolate-${direction.toLowerCase()}`, 'Firewall', {
          networkSelector,
          ...refuse(direction, firstPriority, [isolatedTag]),
        }),
      ]),
    ],
    status: {
      networkId: reported(scope, 'network', 'id'),
      subnetIds: [reported(scope, 'subnetwork', 'id')].filter((id) => id !== undefined),
      cidr: spec.cidr,
    },
    waitingFor: [],
  };
}

function firewall(rule: Rule): Json {
  const { name, of, direction, protocol, cidrs } = rule;
  return {
    description: name,
    direction: direction === 'ingress' ? 'INGRESS' : 'EGRESS',
    priority: 1000,
    targetTags: [networkTags[of]],
    allow: [{ protocol, ports: [portsOf(rule)] }],
    ...(direction === 'ingress' ? { sourceRanges: cidrs } : { destinationRanges: cidrs }),
  };
}

/** Only of our own servers and nodes: clusters keep their own rules. The subnetwork has IPv4 alone. */
function refuse(direction: 'INGRESS' | 'EGRESS', priority: number, targetTags: readonly string[]): Json {
  return {
    direction,
    priority,
    targetTags,
    deny: [{ protocol: 'all' }],
    ...(direction === 'INGRESS' ? { sourceRanges: anywhere } : { destinationRanges: anywhere }),
  };
}
