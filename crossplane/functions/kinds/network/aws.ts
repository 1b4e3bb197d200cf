// A network in AWS: a VPC with a subnet in each zone, a way out, and security groups for servers, nodes, the load balancer, the datastore and machines that are cut off.
import { reported } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { partLabels, partOf } from '../../parts.ts';
import type { NetworkSpec } from '../../specs.ts';
import { securityRules } from './aws-rules.ts';
import { subnetOf } from './subnets.ts';

/** The last has no rule: a machine in it is cut off. Terraform, which the provider is made of, takes AWS' own rule for everything out of new groups. */
const groups = ['servers', 'nodes', 'balancer', 'datastore', 'isolated'] as const;

export function buildAwsNetwork(scope: Scope, spec: NetworkSpec): Built {
  const { region, zones } = spec;
  const tags = { 'trust-domain': spec.trustDomain };
  const select = (part: string, zone?: string): Json => partOf(scope, scope.name, part, zone);
  const make = (name: string, kind: string, forProvider: Json, part = name, zone?: string): Composed =>
    managedResource(scope, {
      name,
      group: 'ec2.aws',
      kind,
      labels: partLabels(scope, scope.name, part, zone),
      forProvider: { region, ...forProvider },
    });
  const subnet = (zone: string, index: number): Composed =>
    make(
      `subnet-${zone}`,
      'Subnet',
      {
        availabilityZone: `${region}${zone}`,
        cidrBlock: subnetOf(spec.cidr, index),
        vpcIdSelector: select('vpc'),
        mapPublicIpOnLaunch: true, // to dial out; no rule lets anybody in by it
        tags,
      },
      'subnet',
      zone,
    );
  const association = (zone: string): Composed =>
    make(`route-table-association-${zone}`, 'RouteTableAssociation', {
      routeTableIdSelector: select('route-table'),
      subnetIdSelector: select('subnet', zone),
    });
  return {
    resources: [
      make('vpc', 'VPC', { cidrBlock: spec.cidr, enableDnsSupport: true, enableDnsHostnames: true, tags }),
      ...zones.map(subnet),
      make('internet-gateway', 'InternetGateway', { vpcIdSelector: select('vpc'), tags }),
      make('route-table', 'RouteTable', { vpcIdSelector: select('vpc'), tags }),
      make('route', 'Route', {
        destinationCidrBlock: '0.0.0.0/0',
        routeTableIdSelector: select('route-table'),
        gatewayIdSelector: select('internet-gateway'),
      }),
      ...zones.map(association),
      ...groups.map((group) =>
        make(`group-${group}`, 'SecurityGroup', {
          description: `${group} of ${spec.trustDomain}`,
          vpcIdSelector: select('vpc'),
          tags,
        }),
      ),
      ...securityRules(spec).map(({ name, kind, of, from, fields }) =>
        make(name, kind, {
          ...fields,
          securityGroupIdSelector: select(`group-${of}`),
          ...(from === undefined ? {} : { referencedSecurityGroupIdSelector: select(`group-${from}`) }),
        }),
      ),
    ],
    status: {
      networkId: reported(scope, 'vpc', 'id'),
      subnetIds: zones.map((zone) => reported(scope, `subnet-${zone}`, 'id')).filter((id) => id !== undefined),
      cidr: spec.cidr,
    },
    waitingFor: [],
  };
}
