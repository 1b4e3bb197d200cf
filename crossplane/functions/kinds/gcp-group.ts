// A group of machines in Google Cloud over the region's zones: what each is made of, and how many there are.
import { createHash } from 'node:crypto';
import { partLabel, shortName } from '../composed.ts';
import type { Composed, Json, Scope } from '../composed.ts';
import { managedResource } from '../managed-resource.ts';
import { ownPart, partOf } from '../parts.ts';
import { gcpDisks, gcpMetadata, gcpShielded } from './machine.ts';
import { networkTags } from './network/gcp.ts';

export interface GcpMachines {
  readonly project: string | undefined;
  readonly region: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly role: 'server' | 'node';
  readonly count: number;
  readonly image: string;
  readonly machineType: string | undefined;
  readonly bootScript: string | undefined;
}

export const gcpMachineType = 'e2-small';

export function gcpGroup(scope: Scope, machines: GcpMachines): Composed[] {
  const { project, region, network } = machines;
  const forProvider: Json = {
    project,
    region,
    machineType: machines.machineType ?? gcpMachineType,
    disk: gcpDisks(machines.image),
    // An address to dial out with; no rule lets anybody in by it.
    networkInterface: [{ subnetworkSelector: partOf(scope, network, 'subnetwork'), accessConfig: [{}] }],
    serviceAccount: {
      emailSelector: ownPart('identity'),
      scopes: ['https://www.googleapis.com/auth/cloud-platform'], // what it may do is said by its roles
    },
    shieldedInstanceConfig: gcpShielded,
    metadata: gcpMetadata(machines.bootScript),
    tags: [machines.role === 'server' ? networkTags.servers : networkTags.nodes],
    labels: { 'trust-domain': machines.trustDomain.replaceAll('.', '_'), role: machines.role },
  };
  // A template cannot be changed: another one takes its place, and the old one goes once no machine is made of it.
  const template = `machine-${createHash('sha256').update(JSON.stringify(forProvider)).digest('hex').slice(0, 8)}`;
  return [
    managedResource(scope, {
      name: template,
      group: 'compute.gcp',
      kind: 'InstanceTemplate',
      labels: { [partLabel]: template },
      forProvider,
    }),
    managedResource(scope, {
      name: 'instance-group',
      group: 'compute.gcp',
      kind: 'RegionInstanceGroupManager',
      labels: { [partLabel]: 'instance-group' },
      externalName: shortName(scope, 'group'),
      forProvider: {
        project,
        region,
        name: shortName(scope, 'group'),
        baseInstanceName: shortName(scope, machines.role),
        targetSize: machines.count,
        version: [{ instanceTemplateSelector: ownPart(template) }],
        // Workflows decide when machines are replaced; nothing heals itself, as a database that is away must not have its servers replaced.
        updatePolicy: { type: 'OPPORTUNISTIC', minimalAction: 'REPLACE' },
      },
    }),
  ];
}
