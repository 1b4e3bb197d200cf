// SPIRE servers in Google Cloud: their service account, a group of machines, and a load balancer that only the network sees.
import { partLabel, reported } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { ServerPoolSpec } from '../../specs.ts';
import { gcpGroup } from '../gcp-group.ts';
import { gcpIdentity, readsSecret } from '../gcp-identity.ts';
import type { Grant } from '../gcp-identity.ts';
import { ports } from '../network/rules.ts';

export function buildGcpServerPool(scope: Scope, spec: ServerPoolSpec): Built {
  const { project, region } = spec;
  const network = spec.networkRef.name;
  const make = (name: string, kind: string, forProvider: Json): Composed =>
    managedResource(scope, {
      name,
      group: 'compute.gcp',
      kind,
      labels: { [partLabel]: name },
      forProvider: { project, region, ...forProvider },
    });
  // Once it is reported; the standing one stays, where the group does not say it for a moment.
  const group = reported(scope, 'instance-group', 'instanceGroup') ?? reported(scope, 'backend', 'backend', 0, 'group');
  return {
    resources: [
      ...gcpIdentity(scope, project, grantsOf(spec)),
      ...gcpGroup(scope, {
        ...spec,
        project,
        network,
        role: 'server',
        count: spec.servers,
        machineType: spec.machineType,
        bootScript: spec.bootScript,
      }),
      make('health', 'RegionHealthCheck', {
        checkIntervalSec: 10,
        httpHealthCheck: { port: ports.health, requestPath: '/ready' },
      }),
      make('backend', 'RegionBackendService', {
        loadBalancingScheme: 'INTERNAL',
        protocol: 'TCP',
        healthChecksSelector: ownPart('health'),
        ...(group === undefined ? {} : { backend: [{ group, balancingMode: 'CONNECTION' }] }),
      }),
      make('balancer', 'ForwardingRule', {
        loadBalancingScheme: 'INTERNAL',
        ipProtocol: 'TCP',
        ports: [String(ports.server), String(ports.federation)],
        allowGlobalAccess: true,
        backendServiceSelector: ownPart('backend'),
        networkSelector: partOf(scope, network, 'network'),
        subnetworkSelector: partOf(scope, network, 'subnetwork'),
      }),
    ],
    status: {
      address: reported(scope, 'balancer', 'ipAddress'),
      instanceGroup: reported(scope, 'instance-group', 'instanceGroup'),
      identity: reported(scope, 'identity', 'email'),
      secrets: spec.secrets,
    },
    waitingFor: group === undefined ? ['the instance group'] : [],
  };
}

/** Reading the named secrets, each by a condition, and looking machines up. */
function grantsOf({ secrets, attestsNodes }: ServerPoolSpec): Grant[] {
  return [
    ...secrets.map(readsSecret),
    ...(attestsNodes ? [{ name: 'compute-viewer', role: 'roles/compute.viewer' }] : []),
  ];
}
