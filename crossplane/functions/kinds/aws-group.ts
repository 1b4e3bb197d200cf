// A group of machines in AWS over the network's zones: what each is made of, and how many there are.
import { partLabel, shortName } from '../composed.ts';
import type { Composed, Json, Scope } from '../composed.ts';
import { managedResource } from '../managed-resource.ts';
import { ownPart, partOf } from '../parts.ts';
import { awsDisks, awsMetadata, awsUserData } from './machine.ts';

export interface AwsMachines {
  readonly region: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly role: 'server' | 'node';
  readonly count: number;
  readonly image: string;
  readonly machineType: string | undefined;
  readonly rootDevice: string;
  readonly bootScript: string | undefined;
  /** ARNs of the load balancer's targets that the machines are. */
  readonly targets: readonly unknown[];
}

export const awsMachineType = 't3.small';

export function awsGroup(scope: Scope, machines: AwsMachines): Composed[] {
  const { region, network, count } = machines;
  const tags = { 'trust-domain': machines.trustDomain, role: machines.role };
  const template: Json = {
    region,
    name: shortName(scope, 'machine'),
    imageId: machines.image,
    instanceType: machines.machineType ?? awsMachineType,
    iamInstanceProfile: { nameSelector: ownPart('instance-profile') },
    vpcSecurityGroupIdSelector: partOf(scope, network, machines.role === 'server' ? 'group-servers' : 'group-nodes'),
    metadataOptions: awsMetadata,
    blockDeviceMappings: awsDisks(machines.rootDevice),
    updateDefaultVersion: true,
    tagSpecifications: ['instance', 'volume'].map((resourceType) => ({ resourceType, tags })),
    ...awsUserData(machines.bootScript),
  };
  const group: Json = {
    region,
    minSize: count,
    maxSize: count,
    desiredCapacity: count,
    // Not what the load balancer sees: a database that is away must not have its servers replaced.
    healthCheckType: 'EC2',
    launchTemplate: { idSelector: ownPart('machine'), version: '$Latest' },
    vpcZoneIdentifierSelector: partOf(scope, network, 'subnet'),
    ...(machines.targets.length === 0
      ? {}
      : { trafficSource: machines.targets.map((identifier) => ({ identifier, type: 'elbv2' })) }),
    tag: Object.entries(tags).map(([key, value]) => ({ key, value, propagateAtLaunch: true })),
  };
  return [
    managedResource(scope, {
      name: 'machine',
      group: 'ec2.aws',
      kind: 'LaunchTemplate',
      labels: { [partLabel]: 'machine' },
      forProvider: template,
    }),
    managedResource(scope, {
      name: 'instance-group',
      group: 'autoscaling.aws',
      kind: 'AutoscalingGroup',
      externalName: shortName(scope, 'group'),
      forProvider: group,
    }),
  ];
}
