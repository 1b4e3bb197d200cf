// What the lab's AWS account holds. Plain data: it is written to the state file as it is.
import { randomBytes } from 'node:crypto';
import type { MachineRecord } from '../instance/machines.ts';

export const account = '000000000077';
/** Regions that exist here; every other is refused. Few, because servers' boot scripts carry a certificate for each. */
export const regions = ['us-east-1', 'us-west-2', 'eu-west-1'] as const;
/** The one machine image. */
export const imageId = 'ami-0077000000000077e';

export interface AwsState {
  readonly administrator: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly signers: Record<string, RegionSigner>;
  roles: AwsRole[];
  instanceProfiles: InstanceProfile[];
  securityGroups: SecurityGroup[];
  secrets: AwsSecret[];
  instances: Ec2Instance[];
}

/** Signs instance identity documents of one region. */
export interface RegionSigner {
  readonly keyPem: string;
  readonly certificatePem: string;
  /** RSA-1024, for the older `signature` document. */
  readonly legacyKeyPem: string;
}

export interface AwsRole {
  readonly name: string;
  readonly id: string;
  readonly createdAt: number;
  trustPolicy: string;
  readonly policies: Record<string, string>;
}

export interface InstanceProfile {
  readonly name: string;
  readonly id: string;
  readonly createdAt: number;
  roleName: string | undefined;
}

export interface AwsTag {
  readonly key: string;
  readonly value: string;
}

export interface IngressRule {
  readonly protocol: string;
  readonly fromPort: number;
  readonly toPort: number;
  /** Empty where a group is meant. */
  readonly cidr: string;
  readonly groupId?: string;
}

export interface SecurityGroup {
  readonly region: string;
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly tags: AwsTag[];
  ingress: IngressRule[];
  /** The rule that a new group has, and that lets everything out, was taken from it. */
  egressRevoked?: boolean;
}

export interface AwsSecret {
  readonly region: string;
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  value: string;
  versionId: string;
  tags: AwsTag[];
}

export type Ec2State = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated';

export interface Ec2Instance {
  readonly region: string;
  readonly zone: string;
  readonly id: string;
  readonly reservationId: string;
  readonly imageId: string;
  readonly instanceType: string;
  /** The last start, in whole seconds; a reboot is none. */
  launchTime: number;
  /** When its disk and interface were attached; absent in the state of labs that did not keep it: with its launch. */
  readonly attachedAt?: number;
  readonly volumeId: string;
  readonly interfaceId: string;
  readonly groupIds: string[];
  readonly profileName: string | undefined;
  readonly clientToken: string | undefined;
  /** Digest of the request that the client token stands for. */
  readonly requestDigest: string;
  readonly metadataOptions: MetadataOptions;
  readonly machine: MachineRecord;
  tags: AwsTag[];
  state: Ec2State;
  terminatedAt: number | undefined;
}

export interface MetadataOptions {
  httpTokens: 'required' | 'optional';
  hopLimit: number;
  endpoint: 'enabled' | 'disabled';
}

export function emptyAwsState(): AwsState {
  return {
    administrator: { accessKeyId: `AKIA${randomName(16)}`, secretAccessKey: randomBytes(30).toString('base64') },
    signers: {},
    roles: [],
    instanceProfiles: [],
    securityGroups: [],
    secrets: [],
    instances: [],
  };
}

/** Capital letters and digits, as AWS makes its key and principal ids. */
export function randomName(length: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  return Array.from(randomBytes(length), (byte) => alphabet[byte % 32]).join('');
}

/** `i-`, `sg-`, `vol-` and the like: 17 hexadecimal digits. */
export function resourceId(prefix: string): string {
  return `${prefix}-0${randomBytes(8).toString('hex')}`;
}

export function roleArn(name: string): string {
  return `arn:aws:iam::${account}:role/${name}`;
}

export function instanceProfileArn(name: string): string {
  return `arn:aws:iam::${account}:instance-profile/${name}`;
}
