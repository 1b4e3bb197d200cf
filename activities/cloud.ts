// What the workflows ask of a cloud, in terms that both clouds share. The clients in clients/ implement it; tests fake it.
import { createHash } from 'node:crypto';
import type { Instance, InstanceRole } from './plan.ts';

/** What an instance's identity may do, beyond proving who it is. */
export interface InstanceRights {
  /** Names of the secrets that it may read. */
  readonly secrets: readonly string[];
  /** May describe instances and instance profiles: what attesting AWS nodes needs. */
  readonly describeInstances: boolean;
}

export interface InstanceIdentity {
  /** Instance profile name (AWS) or service account email (GCP). */
  readonly reference: string;
  /** The subject in the identity tokens of GCE; AWS has none. */
  readonly subject: string | undefined;
}

export interface CreateInstance {
  readonly trustDomain: string;
  readonly name: string;
  readonly region: string;
  readonly role: InstanceRole;
  readonly bootScript: string;
  /** The run that creates it: a resource of another run is never taken over. */
  readonly owner: string;
}

export interface CloudResource {
  readonly kind: 'instance' | 'network' | 'identity' | 'secret' | 'database';
  readonly name: string;
  /** The run that made it, where the cloud keeps that. */
  readonly owner: string | undefined;
}

export interface CloudClient {
  ensureNetwork(input: { trustDomain: string; region: string }): Promise<void>;
  removeNetwork(input: { trustDomain: string; region: string }): Promise<void>;
  ensureInstanceIdentity(input: {
    trustDomain: string;
    role: InstanceRole;
    rights: InstanceRights;
  }): Promise<InstanceIdentity>;
  removeInstanceIdentity(input: { trustDomain: string; role: InstanceRole }): Promise<void>;
  /** A role in this cloud for an identity of another: AWS by web identity. Returns what the other side names to assume it. */
  ensureFederatedRole(input: { trustDomain: string; subject: string; audience: string }): Promise<string>;
  removeFederatedRole(input: { trustDomain: string }): Promise<void>;
  hasSecret(name: string): Promise<boolean>;
  writeSecret(input: { trustDomain: string; name: string; value: string }): Promise<void>;
  removeSecret(name: string): Promise<void>;
  /** Returns at once; the instance may still be starting. */
  ensureInstance(input: CreateInstance): Promise<void>;
  /** `undefined` while it has no address or is not running yet, or when there is none. */
  findInstance(input: { trustDomain: string; name: string; region: string }): Promise<Instance | undefined>;
  /** Returns when the cloud no longer lists it as alive. */
  removeInstance(input: { trustDomain: string; name: string; region: string }): Promise<void>;
  readConsole(input: { trustDomain: string; name: string; region: string }): Promise<string>;
  /** Everything of the trust domain that still exists, whoever made it. */
  listResources(input: { trustDomain: string; regions: readonly string[] }): Promise<CloudResource[]>;
}

/** A short name that is unique for the trust domain: cloud names are shorter than trust domains may be. */
export function stem(trustDomain: string): string {
  return `espalier-${digest(trustDomain).slice(0, 8)}`;
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The secret that holds a server pool's database address, as an environment file. */
export function databaseSecretName(trustDomain: string, pool: string): string {
  return `${stem(trustDomain)}-${pool}-database`;
}

export function authoritySecretPrefix(trustDomain: string): string {
  return `${stem(trustDomain)}-upstream-authority`;
}

/** The secrets that hold the files of an authority above the root: one for each file. */
export function authoritySecretNames(trustDomain: string): Readonly<Record<AuthorityPart, string>> {
  const prefix = authoritySecretPrefix(trustDomain);
  const name = (part: AuthorityPart): string => `${prefix}-${part}`;
  return { certificate: name('certificate'), key: name('key'), bundle: name('bundle') };
}

export type AuthorityPart = (typeof authorityParts)[number];
/** The CA's certificate with its chain, its key, and the roots above. */
export const authorityParts = ['certificate', 'key', 'bundle'] as const;
