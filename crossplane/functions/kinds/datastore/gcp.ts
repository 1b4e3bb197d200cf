// PostgreSQL in Google Cloud: Cloud SQL over several zones, without an address on the internet. The network reaches it by Private Service Connect,
// whose end can only be made once the instance says what it is to be connected to.
import { datastoreLabel, keyOf, partLabel, reported } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { DatastoreSpec } from '../../specs.ts';
import { passwordSecret } from './password-secret.ts';

export function buildGcpDatastore(scope: Scope, spec: DatastoreSpec): Built {
  const { project, region } = spec;
  const make = (group: string, name: string, kind: string, forProvider: Json, externalName?: string): Composed =>
    managedResource(scope, {
      name,
      group,
      kind,
      labels: { [datastoreLabel]: keyOf(scope, scope.name), [partLabel]: name },
      externalName,
      forProvider: { project, ...forProvider },
    });
  const link = reported(scope, 'instance', 'pscServiceAttachmentLink') ?? connectedTo(scope);
  const secretRef = passwordSecret(scope, spec);
  return {
    resources: [
      make('sql.gcp', 'instance', 'DatabaseInstance', {
        region,
        databaseVersion: `POSTGRES_${spec.version}`,
        deletionProtection: spec.deletionProtection,
        settings: settingsOf(spec),
      }),
      make('sql.gcp', 'database', 'Database', { instanceSelector: ownPart('instance') }, 'spire'),
      make('sql.gcp', 'user', 'User', { instanceSelector: ownPart('instance'), passwordSecretRef: secretRef }, 'spire'),
      make('compute.gcp', 'address', 'Address', {
        region,
        addressType: 'INTERNAL',
        subnetworkSelector: partOf(scope, spec.networkRef.name, 'subnetwork'),
      }),
      ...(link === undefined
        ? []
        : [
            make('compute.gcp', 'connection', 'ForwardingRule', {
              region,
              target: link,
              loadBalancingScheme: '',
              ipAddressSelector: ownPart('address'),
              networkSelector: partOf(scope, spec.networkRef.name, 'network'),
            }),
          ]),
    ],
    status: {
      address: reported(scope, 'address', 'address'),
      port: 5432,
      database: 'spire',
      user: 'spire',
      passwordSecret: spec.passwordSecretRef?.name,
    },
    waitingFor: link === undefined ? ['what instance is to be connected to'] : [],
  };
}

function settingsOf(spec: DatastoreSpec): Json {
  return {
    tier: spec.machineType ?? 'db-custom-1-3840',
    edition: 'ENTERPRISE',
    availabilityType: spec.multiZone ? 'REGIONAL' : 'ZONAL',
    diskSize: spec.storageGigabytes,
    diskType: 'PD_SSD', // encrypted at rest by Google, always
    diskAutoresize: true,
    deletionProtectionEnabled: spec.deletionProtection,
    backupConfiguration: {
      enabled: true,
      pointInTimeRecoveryEnabled: true,
      backupRetentionSettings: { retainedBackups: spec.backupDays, retentionUnit: 'COUNT' },
    },
    ipConfiguration: {
      ipv4Enabled: false,
      sslMode: 'ENCRYPTED_ONLY',
      pscConfig: [{ pscEnabled: true, allowedConsumerProjects: [spec.project] }],
    },
    userLabels: { 'trust-domain': spec.trustDomain.replaceAll('.', '_') },
  };
}

/** An instance that does not say for a moment must not cost the connection that stands. */
function connectedTo(scope: Scope): unknown {
  return reported(scope, 'connection', 'target');
}
