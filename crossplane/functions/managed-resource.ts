// One managed resource of a provider, in either flavour: group, version and how it names its provider's configuration.
import type { Composed, Flavour, Json, Scope } from './composed.ts';

/** The versions that providers store; of namespaced resources it is always `v1beta1`. */
const legacyVersions: Readonly<Record<string, string>> = {
  'autoscaling.aws/AutoscalingGroup': 'v1beta3',
  'ec2.aws/Instance': 'v1beta2',
  'ec2.aws/LaunchTemplate': 'v1beta2',
  'ec2.aws/Route': 'v1beta2',
  'eks.aws/Cluster': 'v1beta2',
  'eks.aws/NodeGroup': 'v1beta2',
  'elbv2.aws/LB': 'v1beta2',
  'elbv2.aws/LBListener': 'v1beta2',
  'elbv2.aws/LBTargetGroup': 'v1beta2',
  'rds.aws/Instance': 'v1beta3',
  'route53.aws/Record': 'v1beta2',
  'cloudplatform.gcp/ProjectIAMMember': 'v1beta2',
  'compute.gcp/Firewall': 'v1beta2',
  'compute.gcp/ForwardingRule': 'v1beta2',
  'compute.gcp/Instance': 'v1beta2',
  'compute.gcp/InstanceTemplate': 'v1beta2',
  'compute.gcp/RegionBackendService': 'v1beta2',
  'compute.gcp/RegionHealthCheck': 'v1beta2',
  'compute.gcp/RegionInstanceGroupManager': 'v1beta2',
  'compute.gcp/Subnetwork': 'v1beta2',
  'container.gcp/Cluster': 'v1beta2',
  'container.gcp/NodePool': 'v1beta2',
  'dns.gcp/ManagedZone': 'v1beta2',
  'dns.gcp/RecordSet': 'v1beta2',
  'sql.gcp/DatabaseInstance': 'v1beta2',
  'sql.gcp/User': 'v1beta2',
  'compute.azure/LinuxVirtualMachineScaleSet': 'v1beta2',
  'dbforpostgresql.azure/FlexibleServer': 'v1beta2',
  'network.azure/Subnet': 'v1beta2',
  'network.azure/VirtualNetwork': 'v1beta2',
};

export interface ManagedResource {
  /** Name in the composition. */
  readonly name: string;
  /** Such as `ec2.aws`. */
  readonly group: string;
  readonly kind: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The name in the cloud, where it must be known before the resource is there. */
  readonly externalName?: string | undefined;
  readonly forProvider: Json;
  /** What it is made with, and what the provider leaves alone afterwards. */
  readonly initProvider?: Json | undefined;
  /** Stays in the cloud when its object goes, where the cloud itself protects nothing from deletion. */
  readonly isKept?: boolean | undefined;
}

const withoutDeletion = ['Observe', 'Create', 'Update', 'LateInitialize'];

export function managedResource(scope: Scope, resource: ManagedResource): Composed {
  const { name, group, kind, labels, externalName, forProvider, initProvider, isKept } = resource;
  return {
    name,
    resource: {
      apiVersion: apiVersionOf(scope.flavour, group, kind),
      kind,
      metadata: {
        ...(labels === undefined ? {} : { labels }),
        ...(externalName === undefined ? {} : { annotations: { 'crossplane.io/external-name': externalName } }),
      },
      spec: {
        forProvider,
        ...(initProvider === undefined ? {} : { initProvider }),
        ...(isKept === true ? { managementPolicies: withoutDeletion } : {}),
        providerConfigRef: {
          ...(scope.flavour === 'namespaced' ? { kind: 'ClusterProviderConfig' } : {}),
          name: scope.providerConfig,
        },
      },
    },
  };
}

function apiVersionOf(flavour: Flavour, group: string, kind: string): string {
  return flavour === 'namespaced'
    ? `${group}.m.upbound.io/v1beta1`
    : `${group}.upbound.io/${legacyVersions[`${group}/${kind}`] ?? 'v1beta1'}`;
}
