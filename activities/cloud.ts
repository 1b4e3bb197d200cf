// What the workflows ask of a cloud, in terms that both clouds share. The clients in clients/ implement it; tests fake it.
import type { Instance, InstanceRole, ServerPool } from './plan.ts';
import { databaseSecretName, digest, stem } from './spec/resource-names.ts';
import type { TrustDomainSpec } from './spec/trust-domain-spec.ts';
import type { PlacedGroup } from './update/update.ts';

/** What an instance's identity may do, beyond proving who it is. */
export interface InstanceRights {
  /** Names of the secrets that it may read. */
  readonly secrets: readonly string[];
  /** May describe instances and instance profiles: what attesting AWS nodes needs. */
  readonly describeInstances: boolean;
  /** Its cloud's own agent may take commands for it; AWS alone needs a right for that. */
  readonly takesCommands?: boolean | undefined;
}

export interface InstanceIdentity {
  /** Instance profile name (AWS) or service account email (GCP). */
  readonly reference: string;
  /** The subject in the identity tokens of GCE; AWS has none. */
  readonly subject: string | undefined;
}

export interface SecretName {
  readonly name: string;
  readonly region: string | undefined;
}

export interface CreateInstance {
  readonly trustDomain: string;
  readonly name: string;
  readonly region: string;
  readonly role: InstanceRole;
  readonly bootScript: string;
  /** Of a server: what it was made with and keeps, see {@link settingsOf}. */
  readonly settings?: string | undefined;
  /** Of a node: digest of the agent release that it is made with. */
  readonly release?: string | undefined;
  /** The run that creates it: a resource of another run is never taken over. */
  readonly owner: string;
}

export interface CloudResource {
  readonly kind: 'instance' | 'network' | 'identity' | 'secret' | 'database';
  readonly name: string;
  /** The run that made it, where the cloud keeps that. */
  readonly owner: string | undefined;
}

/** What a segment has besides its instances. */
export interface SegmentRemains {
  readonly segment: string;
  readonly kind: 'identity' | 'secret' | 'database';
  /** Where the cloud keeps such things by region. */
  readonly region?: string | undefined;
}

/** A node that its cloud lists, found by its tags or labels. */
export interface ListedNode {
  readonly name: string;
  /** The ID that its agent has. */
  readonly agentId: string;
  readonly isRunning: boolean;
  /** What was put on it last, as far as it was noted: the first digits of a release's digest. */
  readonly release: string | undefined;
}

/** Where a script is to run: nodes that run, by name. */
export interface NodeCommand {
  readonly trustDomain: string;
  readonly region: string;
  readonly role: InstanceRole;
  readonly names: readonly string[];
  /** The same command again, by its id, is not run twice where its cloud can tell. */
  readonly id: string;
  readonly script: string;
  readonly timeoutSeconds: number;
}

/** What the cloud keeps of a command that was begun; plain, so that another worker can go on with it. */
export interface BegunCommand {
  readonly region: string;
  readonly id: string;
  readonly timeoutAt: number;
  readonly nodes: readonly { readonly name: string; readonly reference: string }[];
  /** Nodes that cannot be reached so, and why. */
  readonly refused: readonly NodeOutcome[];
}

export interface NodeOutcome {
  readonly name: string;
  readonly isDone: boolean;
  /** Why not, or the last that the script said. */
  readonly said: string;
}

/** What runs on nodes can be changed by the clouds' own means, without a way in of ours. */
export interface NodeCommands {
  listNodes(input: { trustDomain: string; region: string; role: InstanceRole }): Promise<ListedNode[]>;
  beginCommand(command: NodeCommand): Promise<BegunCommand>;
  /** Of those that have ended. */
  readCommand(begun: BegunCommand): Promise<NodeOutcome[]>;
  noteRelease(input: {
    trustDomain: string;
    region: string;
    role: InstanceRole;
    names: readonly string[];
    release: string;
  }): Promise<void>;
}

/**
 * What servers are made with and keep: a digest of it, then the clouds whose nodes they attest, then, of an upstream, the clusters whose servers it knows. Short
 * enough for a label.
 */
export function settingsOf(
  spec: Pick<TrustDomainSpec, 'keyType' | 'ttl' | 'clusters'>,
  { caTtl, attestors, role }: Pick<ServerPool, 'caTtl' | 'attestors' | 'role'>,
): string {
  const { keyType, ttl } = spec;
  const made = digest(JSON.stringify([keyType, ttl.root, ttl.x509Svid, ttl.jwtSvid, caTtl])).slice(0, 16);
  const clusters = role === 'upstream' ? clusterPart(spec) : undefined;
  return [
    made,
    ...attestors.map((attestor) => attestor.slice(0, 3)),
    ...(clusters === undefined ? [] : [clusters]),
  ].join('-');
}

export interface MadeWith {
  /** A digest. */
  readonly settings: string;
  /** As attestors begin. */
  readonly clouds: readonly string[];
  /** As `clusterPart` says it; undefined where there were none. */
  readonly clusters: string | undefined;
}

export function readSettings(text: string): MadeWith {
  const [settings = '', ...parts] = text.split('-');
  const isOfClusters = (part: string): boolean => part.startsWith(clustersPrefix);
  return { settings, clouds: parts.filter((part) => !isOfClusters(part)), clusters: parts.find(isOfClusters) };
}

/** No cloud begins so. */
const clustersPrefix = 'k';

export function clusterPart({ clusters }: Pick<TrustDomainSpec, 'clusters'>): string | undefined {
  if (clusters === undefined) return undefined;
  return `${clustersPrefix}${digest(JSON.stringify(clusters.map(({ name }) => name).toSorted())).slice(0, 8)}`;
}

/** Labels are short. */
export function releaseLabel(releaseDigest: string): string {
  return releaseDigest.slice(0, 16);
}

export interface CloudClient extends NodeCommands {
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
  /** Secrets are where the instances are that read them: AWS keeps them by region; where none is said, in the worker's own. */
  hasSecret(input: SecretName): Promise<boolean>;
  writeSecret(input: SecretName & { trustDomain: string; value: string }): Promise<void>;
  removeSecret(input: SecretName): Promise<void>;
  /** Returns at once; the instance may still be starting. */
  ensureInstance(input: CreateInstance): Promise<void>;
  /** `undefined` while it has no address or is not running yet, or when there is none. */
  findInstance(input: { trustDomain: string; name: string; region: string }): Promise<Instance | undefined>;
  /** No new connection reaches it and it opens none, from now on; its disk and what runs on it stay as they are. */
  isolateInstance(input: { trustDomain: string; name: string; region: string }): Promise<void>;
  /** Returns when the cloud no longer lists it as alive. */
  removeInstance(input: { trustDomain: string; name: string; region: string }): Promise<void>;
  readConsole(input: { trustDomain: string; name: string; region: string }): Promise<string>;
  /** Instances of the trust domain in every region, grouped by region and role. */
  listPlaced(input: { trustDomain: string }): Promise<PlacedGroup[]>;
  /** Segments of which the cloud has an identity or a secret, in whatever region, whether anything of them runs or not. */
  listRemains(input: { trustDomain: string }): Promise<SegmentRemains[]>;
  /** Everything of the trust domain that still exists, whoever made it. */
  listResources(input: { trustDomain: string; regions: readonly string[] }): Promise<CloudResource[]>;
}

export { databaseSecretName, digest, stem };

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
