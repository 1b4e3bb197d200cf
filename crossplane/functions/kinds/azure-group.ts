// A group of machines in Azure over the region's zones: what each is made of, how many there are, and that their network stays as long as they do.
import { partLabel, shortName } from '../composed.ts';
import type { Composed, Scope } from '../composed.ts';
import { managedResource } from '../managed-resource.ts';
import { partOf } from '../parts.ts';
import { azureId, networkGroup } from './azure-ids.ts';
import { azureIdentity } from './azure-identity.ts';
import { networkUsage } from './azure-usage.ts';

export interface AzureMachines {
  readonly region: string;
  readonly subscription: string;
  readonly network: string;
  readonly trustDomain: string;
  readonly role: 'server' | 'node';
  readonly count: number;
  readonly image: string;
  readonly machineType: string | undefined;
  readonly bootScript: string | undefined;
  readonly sshPublicKey: string;
  readonly secrets: readonly string[];
  readonly vaultId: string | undefined;
}

const administrator = 'espalier';

export function azureGroup(scope: Scope, machines: AzureMachines): Composed[] {
  const { region, subscription, network, trustDomain, role, bootScript } = machines;
  const part = role === 'server' ? 'servers' : 'nodes';
  const identity = shortName(scope, part);
  const resourceGroup = partOf(scope, network, 'resource-group');
  const idOf = (type: string, name: string): string => azureId(subscription, networkGroup(scope, network), type, name);
  const group = managedResource(scope, {
    name: 'instance-group',
    group: 'compute.azure',
    kind: 'LinuxVirtualMachineScaleSet',
    labels: { [partLabel]: 'instance-group' },
    externalName: shortName(scope, 'group'),
    forProvider: {
      location: region,
      resourceGroupNameSelector: resourceGroup,
      sku: machines.machineType ?? 'Standard_D2s_v5',
      instances: machines.count,
      zones: ['1', '2', '3'],
      zoneBalance: true,
      overprovision: false,
      singlePlacementGroup: false, // one holds 100 machines at most
      // Workflows decide when machines are replaced; nothing heals itself, as a database that is away must not have its servers replaced.
      upgradeMode: 'Manual',
      sourceImageId: machines.image,
      osDisk: { caching: 'ReadWrite', storageAccountType: 'Premium_LRS' },
      encryptionAtHostEnabled: true,
      secureBootEnabled: true,
      vtpmEnabled: true,
      // Azure makes no machine without a password or a key; of the key the public half is enough, and no rule lets SSH in.
      adminUsername: administrator,
      disablePasswordAuthentication: true,
      adminSshKey: [{ username: administrator, publicKey: machines.sshPublicKey }],
      // Whoever may change extensions could run anything.
      extensionOperationsEnabled: false,
      identity: {
        type: 'UserAssigned',
        identityIds: [idOf('Microsoft.ManagedIdentity/userAssignedIdentities', identity)],
      },
      networkInterface: [
        {
          name: 'primary',
          primary: true,
          networkSecurityGroupId: idOf('Microsoft.Network/networkSecurityGroups', `group-${part}`),
          ipConfiguration: [
            { name: 'primary', primary: true, subnetIdSelector: partOf(scope, network, 'subnet-machines') },
          ],
        },
      ],
      ...(bootScript === undefined ? {} : { userData: Buffer.from(bootScript).toString('base64') }),
      tags: { 'trust-domain': trustDomain, role },
    },
  });
  return [
    ...azureIdentity(scope, { ...machines, name: identity, location: region, resourceGroup }),
    group,
    networkUsage(scope, network, group),
  ];
}
