// What AWS says about an instance, as far as attestation asks, and the check that nobody else has booted it.
import { deniedEvidence, undecided } from '../attest-error.ts';
import type { IdentityDocument } from './identity-document.ts';

export interface InstanceRecord {
  readonly instanceId: string | undefined;
  readonly accountId: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly securityGroups: readonly { readonly id: string; readonly name: string }[];
  readonly instanceProfileArn: string | undefined;
  readonly rootDevice: { readonly type: string | undefined; readonly name: string | undefined };
  readonly volumes: readonly { readonly deviceName: string | undefined; readonly attachedAt: Date | undefined }[];
  readonly networkInterfaces: readonly {
    readonly deviceIndex: number | undefined;
    readonly attachedAt: Date | undefined;
  }[];
}

/** Asks AWS, in the document's account and region. */
export interface AwsInstances {
  /** A pending or running instance of that ID; undefined where there is none. */
  find(document: IdentityDocument, signal: AbortSignal): Promise<InstanceRecord | undefined>;
  /** ARNs of the roles of an instance profile, by its name. */
  roleArns(document: IdentityDocument, profileName: string, signal: AbortSignal): Promise<readonly string[]>;
}

const maxSecondsBetweenAttachments = 60;

/** The answer must be about the instance that the document names. */
export function checkSameInstance(record: InstanceRecord, document: IdentityDocument): void {
  if (record.instanceId !== document.instanceId || record.accountId !== document.accountId) {
    throw deniedEvidence(
      'INSTANCE_MISMATCH',
      `AWS described another instance than ${document.instanceId} of account ${document.accountId}`,
    );
  }
}

/**
 * Whoever can stop an instance can put a root volume of their own under it and read its identity. A root volume that was attached with the first
 * network interface, when the instance was made, has not been exchanged.
 */
export function checkRootVolume({ networkInterfaces, rootDevice, volumes }: InstanceRecord): void {
  const first = networkInterfaces.find(({ deviceIndex }) => deviceIndex === 0);
  if (first?.attachedAt === undefined) {
    throw undecided(
      'NETWORK_INTERFACE_MISSING',
      'failed aws ec2 attestation: the network interface with device index 0 is inaccessible',
    );
  }
  if (rootDevice.type === 'instance-store') return; // cannot be detached
  const root = volumes.find(({ deviceName }) => deviceName !== undefined && deviceName === rootDevice.name);
  if (root?.attachedAt === undefined) {
    throw undecided(
      'ROOT_VOLUME_MISSING',
      `failed aws ec2 attestation: failed to locate the root device block mapping with name "${rootDevice.name ?? ''}"`,
    );
  }
  const seconds = Math.abs(
    Math.trunc(first.attachedAt.getTime() / 1000) - Math.trunc(root.attachedAt.getTime() / 1000),
  );
  if (seconds > maxSecondsBetweenAttachments) {
    throw deniedEvidence(
      'ROOT_VOLUME_SWAPPED',
      `failed aws ec2 attestation: root volume and network interface 0 were attached ${seconds} seconds apart`,
    );
  }
}
