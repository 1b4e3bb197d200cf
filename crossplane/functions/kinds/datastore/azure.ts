// PostgreSQL in Azure: a flexible server over two zones, in a subnet that is its own and without an address on the internet. It takes connections with
// TLS alone, which is Azure's own setting, and it has the one database that Azure makes. Azure protects no server from deletion: one that is to be
// protected stays when its object goes, with its resource group.
import { datastoreLabel, keyOf, partLabel, reported } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { DatastoreSpec } from '../../specs.ts';
import { ownGroup } from '../azure-ids.ts';
import { networkUsage } from '../azure-usage.ts';
import { passwordSecret } from './password-secret.ts';

export function buildAzureDatastore(scope: Scope, spec: DatastoreSpec): Built {
  const key = keyOf(scope, scope.name);
  const tags = { 'trust-domain': spec.trustDomain };
  const make = (group: string, name: string, kind: string, externalName: string, forProvider: Json): Composed =>
    managedResource(scope, {
      name,
      group,
      kind,
      labels: { [datastoreLabel]: key, [partLabel]: name },
      externalName,
      forProvider: { location: spec.region, ...forProvider, tags },
      isKept: spec.deletionProtection,
    });
  const server = make('dbforpostgresql.azure', 'instance', 'FlexibleServer', `espalier-${key}`, {
    resourceGroupNameSelector: ownPart('resource-group'),
    version: spec.version,
    skuName: spec.machineType ?? 'GP_Standard_D2ds_v5',
    storageMb: storageOf(spec) * 1024, // encrypted at rest by Azure, always
    autoGrowEnabled: true,
    backupRetentionDays: spec.backupDays,
    ...(spec.multiZone ? { highAvailability: { mode: 'ZoneRedundant' } } : {}),
    delegatedSubnetIdSelector: partOf(scope, spec.networkRef.name, 'subnet-datastore'),
    privateDnsZoneId: spec.privateDnsZoneId,
    publicNetworkAccessEnabled: false,
    authentication: { passwordAuthEnabled: true, activeDirectoryAuthEnabled: false },
    administratorLogin: 'spire',
    administratorPasswordSecretRef: passwordSecret(scope, spec),
  });
  return {
    resources: [
      make('azure', 'resource-group', 'ResourceGroup', ownGroup(scope, 'datastore'), {}),
      server,
      networkUsage(scope, spec.networkRef.name, server),
    ],
    status: {
      address: reported(scope, 'instance', 'fqdn'),
      port: 5432,
      database: 'postgres',
      user: 'spire',
      passwordSecret: spec.passwordSecretRef?.name,
    },
    waitingFor: [],
  };
}

/** Azure's disks are of powers of two, 32 at least. */
function storageOf({ storageGigabytes }: DatastoreSpec): number {
  return 2 ** Math.max(5, Math.ceil(Math.log2(storageGigabytes)));
}
