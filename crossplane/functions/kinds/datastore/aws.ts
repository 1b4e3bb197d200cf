// PostgreSQL in AWS: RDS over several zones, encrypted with a key of its own. RDS makes the password and keeps it in Secrets Manager: nobody here
// ever holds it.
import { datastoreLabel, keyOf, partLabel, reported } from '../../composed.ts';
import type { Built, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { DatastoreSpec } from '../../specs.ts';

export function buildAwsDatastore(scope: Scope, spec: DatastoreSpec): Built {
  const { region } = spec;
  const tags = { 'trust-domain': spec.trustDomain };
  const labels = (part: string) => ({ [datastoreLabel]: keyOf(scope, scope.name), [partLabel]: part });
  const instance: Json = {
    region,
    engine: 'postgres',
    engineVersion: spec.version,
    instanceClass: spec.machineType ?? 'db.t4g.small',
    allocatedStorage: spec.storageGigabytes,
    storageType: 'gp3',
    storageEncrypted: true,
    kmsKeyIdSelector: ownPart('key'),
    multiAz: spec.multiZone,
    publiclyAccessible: false,
    dbName: 'spire',
    username: 'spire',
    manageMasterUserPassword: true,
    masterUserSecretKmsKeyIdSelector: ownPart('key'),
    dbSubnetGroupNameSelector: ownPart('subnet-group'),
    vpcSecurityGroupIdSelector: partOf(scope, spec.networkRef.name, 'group-datastore'),
    backupRetentionPeriod: spec.backupDays,
    copyTagsToSnapshot: true,
    deletionProtection: spec.deletionProtection,
    // Without the protection nothing is meant to be kept.
    skipFinalSnapshot: !spec.deletionProtection,
    ...(spec.deletionProtection ? { finalSnapshotIdentifier: `spire-${keyOf(scope, scope.name)}-final` } : {}),
    tags,
  };
  return {
    resources: [
      managedResource(scope, {
        name: 'key',
        group: 'kms.aws',
        kind: 'Key',
        labels: labels('key'),
        forProvider: {
          region,
          description: `datastore of ${spec.trustDomain}`,
          enableKeyRotation: true,
          deletionWindowInDays: 30,
          tags,
        },
      }),
      managedResource(scope, {
        name: 'subnet-group',
        group: 'rds.aws',
        kind: 'SubnetGroup',
        labels: labels('subnet-group'),
        forProvider: { region, subnetIdSelector: partOf(scope, spec.networkRef.name, 'subnet'), tags },
      }),
      managedResource(scope, {
        name: 'instance',
        group: 'rds.aws',
        kind: 'Instance',
        labels: labels('instance'),
        forProvider: instance,
      }),
    ],
    status: {
      address: reported(scope, 'instance', 'address'),
      port: reported(scope, 'instance', 'port'),
      database: 'spire',
      user: 'spire',
      passwordSecret: reported(scope, 'instance', 'masterUserSecret', 0, 'secretArn'),
    },
    waitingFor: [],
  };
}
