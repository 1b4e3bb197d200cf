// What the lab's GCP project holds. Plain data: it is written to the state file as it is.
import { randomBytes } from 'node:crypto';
import type { MachineRecord } from '../instance/machines.ts';

export const project = 'espalier-lab';
export const projectNumber = 770000000077;
/** The zone that the lab names when asked for one. */
export const zone = 'us-central1-a';

export interface GcpState {
  /** Made at the first start: signs identity tokens. */
  signer: GcpSigner | undefined;
  projectPolicy: IamPolicy;
  serviceAccounts: ServiceAccount[];
  secrets: GcpSecret[];
  firewalls: Firewall[];
  instances: GceInstance[];
  operations: Operation[];
}

export interface GcpSigner {
  readonly keyId: string;
  readonly keyPem: string;
  readonly certificatePem: string;
}

export interface IamPolicy {
  readonly bindings: readonly { readonly role: string; readonly members: readonly string[] }[];
  readonly etag: string;
}

export interface ServiceAccount {
  readonly accountId: string;
  readonly email: string;
  readonly uniqueId: string;
  readonly displayName: string;
  readonly description: string;
  policy: IamPolicy;
}

export interface GcpSecret {
  readonly id: string;
  readonly createdAt: number;
  readonly labels: Record<string, string>;
  readonly replication: unknown;
  /** Values in base64; the first is version 1. Removed versions are `null`. */
  readonly versions: (string | null)[];
  policy: IamPolicy;
}

export interface Firewall {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  /** The body as it was sent. */
  body: Record<string, unknown>;
}

export type GceStatus = 'PROVISIONING' | 'STAGING' | 'RUNNING' | 'STOPPING' | 'TERMINATED';

export interface GceInstance {
  readonly id: string;
  readonly name: string;
  readonly zone: string;
  readonly createdAt: number;
  /** The last start; a reset is none. Absent in the state of labs that did not keep it. */
  startedAt?: number;
  readonly machineType: string;
  readonly machine: MachineRecord;
  readonly serviceAccount: { readonly email: string; readonly scopes: readonly string[] } | undefined;
  /** Metadata of the instance: `startup-script` and others. */
  metadata: Record<string, string>;
  /** What the instance says of itself, by `namespace/key`; absent in the state of labs that did not keep it. */
  guestAttributes?: Record<string, string>;
  labels: Record<string, string>;
  tags: string[];
  description: string;
  /** Taken by `setLabels` against lost updates. */
  fingerprint: number;
  status: GceStatus;
  /** It will be gone when it has stopped. */
  removing: boolean;
}

export interface Operation {
  readonly id: string;
  readonly name: string;
  /** `undefined`: a global operation. */
  readonly zone: string | undefined;
  readonly type: string;
  readonly targetLink: string;
  readonly targetId: string;
  readonly requestId: string | undefined;
  readonly requestDigest: string;
  readonly insertedAt: number;
  endedAt: number | undefined;
  /** Why it failed. */
  error: string | undefined;
}

export function emptyGcpState(): GcpState {
  return {
    signer: undefined,
    projectPolicy: emptyPolicy(),
    serviceAccounts: [],
    secrets: [],
    firewalls: [],
    instances: [],
    operations: [],
  };
}

export function emptyPolicy(): IamPolicy {
  return { bindings: [], etag: randomBytes(8).toString('base64') };
}

/** Compute Engine's numeric ids: 64 bits without sign, written in decimal. */
export function numericId(): string {
  return (randomBytes(8).readBigUInt64BE() >> 1n).toString();
}
