// One machine in AWS, under the name, tags and identity that workflows know it by.
import { partName } from '../../../../activities/spec/resource-names.ts';
import { known, reported } from '../../composed.ts';
import type { Built, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { partOf } from '../../parts.ts';
import type { MachineSpec } from '../../specs.ts';
import { awsMachineType } from '../aws-group.ts';
import { awsMetadata, awsUserData, diskGigabytes, isServer } from '../machine.ts';

export function buildAwsMachine(scope: Scope, spec: MachineSpec): Built {
  const { region, trustDomain, role, zone } = spec;
  const network = spec.networkRef.name;
  const forProvider: Json = {
    region,
    ami: spec.image,
    instanceType: spec.machineType ?? awsMachineType,
    iamInstanceProfile: partName(trustDomain, role),
    subnetIdSelector: partOf(scope, network, 'subnet', zone),
    // Asked for anew each time: a machine that is cut off is so by its group.
    vpcSecurityGroupIdSelector: { ...partOf(scope, network, groupOf(spec)), policy: { resolve: 'Always' } },
    metadataOptions: awsMetadata,
    rootBlockDevice: { encrypted: true, volumeType: 'gp3', volumeSize: diskGigabytes, deleteOnTermination: true },
    tags: tagsOf(spec),
  };
  return {
    resources: [
      managedResource(scope, {
        name: 'machine',
        group: 'ec2.aws',
        kind: 'Instance',
        forProvider,
        // What it boots with is its own from then on: a later difference must not stop and start it.
        initProvider: awsUserData64(spec.bootScript),
      }),
    ],
    status: known({
      instanceId: reported(scope, 'machine', 'id'),
      address: reported(scope, 'machine', 'privateIp'),
      state: reported(scope, 'machine', 'instanceState'),
    }),
    waitingFor: [],
  };
}

function groupOf({ role, isolated }: MachineSpec): string {
  if (isolated) return 'group-isolated';
  return isServer(role) ? 'group-servers' : 'group-nodes';
}

function awsUserData64(bootScript: string): Json {
  return { userDataBase64: awsUserData(bootScript)['userData'] };
}

/** What workflows find machines by, and note on them. */
function tagsOf({ trustDomain, name, role, owner, settings, release }: MachineSpec): Json {
  return known({
    Name: name,
    'espalier-trust-domain': trustDomain,
    'espalier-name': name,
    'espalier-role': role,
    'espalier-owner': owner,
    'espalier-settings': settings,
    'espalier-release': release,
  });
}
