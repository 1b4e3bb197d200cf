// An instance as Compute Engine's JSON describes it.
import { createHash } from 'node:crypto';
import type { LabContext } from '../context.ts';
import { linkOf } from './compute-operations.ts';
import type { GceInstance } from './state.ts';

export function encodeInstance(context: LabContext, instance: GceInstance): object {
  return {
    kind: 'compute#instance',
    id: instance.id,
    name: instance.name,
    description: instance.description,
    creationTimestamp: new Date(instance.createdAt).toISOString(),
    lastStartTimestamp: new Date(instance.startedAt ?? instance.createdAt).toISOString(),
    status: instance.status,
    zone: linkOf(context, `zones/${instance.zone}`),
    machineType: linkOf(context, `zones/${instance.zone}/machineTypes/${instance.machineType}`),
    labels: instance.labels,
    labelFingerprint: Buffer.from(String(instance.fingerprint)).toString('base64'),
    tags: { items: instance.tags, fingerprint: tagsFingerprintOf(instance) },
    metadata: {
      kind: 'compute#metadata',
      fingerprint: metadataFingerprintOf(instance),
      items: Object.entries(instance.metadata).map(([key, value]) => ({ key, value })),
    },
    networkInterfaces: [
      {
        kind: 'compute#networkInterface',
        name: 'nic0',
        network: linkOf(context, 'global/networks/default'),
        networkIP: instance.machine.address,
        stackType: 'IPV4_ONLY',
      },
    ],
    disks: [
      {
        kind: 'compute#attachedDisk',
        index: 0,
        boot: true,
        autoDelete: true,
        type: 'PERSISTENT',
        mode: 'READ_WRITE',
        deviceName: 'persistent-disk-0',
      },
    ],
    serviceAccounts: instance.serviceAccount === undefined ? [] : [instance.serviceAccount],
    selfLink: linkOf(context, `zones/${instance.zone}/instances/${instance.name}`),
  };
}

/** Changes with the metadata: what a change must name, and what who waits for one has seen. */
export function metadataFingerprintOf({ metadata }: GceInstance): string {
  return createHash('sha256').update(JSON.stringify(metadata)).digest('base64').slice(0, 12);
}

export function tagsFingerprintOf({ tags }: GceInstance): string {
  return createHash('sha256').update(JSON.stringify(tags)).digest('base64').slice(0, 12);
}
