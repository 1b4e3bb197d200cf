// One machine in Google Cloud, under the name, labels and identity that workflows know it by.
import { accountId, partName, shortDigest } from '../../../../activities/spec/resource-names.ts';
import { known, reported } from '../../composed.ts';
import type { Built, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { partOf } from '../../parts.ts';
import type { MachineSpec } from '../../specs.ts';
import { gcpMachineType } from '../gcp-group.ts';
import { diskGigabytes, gcpMetadata, gcpShielded, isServer } from '../machine.ts';
import { isolatedTag, networkTags } from '../network/gcp.ts';

export function buildGcpMachine(scope: Scope, spec: MachineSpec): Built {
  const { trustDomain, project, region, zone, name, role } = spec;
  const forProvider: Json = {
    project,
    zone: `${region}-${zone}`,
    machineType: spec.machineType ?? gcpMachineType,
    bootDisk: {
      autoDelete: true,
      // Google encrypts every disk.
      initializeParams: { image: spec.image, type: 'pd-balanced', size: diskGigabytes },
    },
    // An address to dial out with; no rule lets anybody in by it.
    networkInterface: [{ subnetworkSelector: partOf(scope, spec.networkRef.name, 'subnetwork'), accessConfig: [{}] }],
    serviceAccount: {
      email: `${accountId(trustDomain, role)}@${project ?? ''}.iam.gserviceaccount.com`,
      scopes: ['https://www.googleapis.com/auth/cloud-platform'], // what it may do is said by its roles
    },
    shieldedInstanceConfig: gcpShielded,
    tags: [isServer(role) ? networkTags.servers : networkTags.nodes, ...(spec.isolated ? [isolatedTag] : [])],
    labels: labelsOf(spec),
  };
  return {
    resources: [
      managedResource(scope, {
        name: 'machine',
        group: 'compute.gcp',
        kind: 'Instance',
        externalName: partName(trustDomain, name),
        forProvider,
        // Workflows instruct running nodes by its metadata: what the provider would put back there is none of its business.
        initProvider: { metadata: metadataOf(spec) },
      }),
    ],
    status: known({
      instanceId: reported(scope, 'machine', 'instanceId'),
      address: reported(scope, 'machine', 'networkInterface', 0, 'networkIp'),
      state: reported(scope, 'machine', 'currentStatus'),
    }),
    waitingFor: [],
  };
}

/** Guest attributes are how a node reports how an instruction ended. */
function metadataOf({ bootScript, trustDomain }: MachineSpec): Json {
  return {
    ...gcpMetadata(bootScript),
    'espalier-trust-domain': trustDomain,
    'enable-guest-attributes': 'TRUE',
  };
}

/** What workflows find machines by, and note on them. */
function labelsOf({ trustDomain, name, role, owner, settings, release }: MachineSpec): Json {
  return known({
    'espalier-trust-domain': shortDigest(trustDomain),
    'espalier-name': name,
    'espalier-role': role,
    'espalier-owner': owner,
    'espalier-settings': settings,
    'espalier-release': release,
  });
}
