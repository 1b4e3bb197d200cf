// A pod's volumes as directories of the node. ConfigMaps, Secrets and tokens are written once, when the pod starts, and not renewed; `medium: Memory` is not kept
// to, and neither are sizes.
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { KubernetesUser } from '../kubernetes.ts';
import { filesIn, fieldOf, NotYet } from './environment.ts';
import type { DownwardFiles, FileSource, Pod, TokenSource, Volume } from './objects.ts';

export interface VolumesOptions {
  /** As the node. */
  readonly api: KubernetesUser;
  /** Of this pod on the node. */
  readonly directory: string;
  /** What the node has in place of its root. */
  readonly nodeRoot: string;
  /** Where a claim's data is. */
  readonly claimDirectory: (namespace: string, claim: string) => Promise<string>;
}

interface File {
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
  readonly owner?: number;
}

/** Directories by the volumes' names. Rejects with NotYet where something is not there that they are made of. */
export async function prepareVolumes(pod: Pod, options: VolumesOptions): Promise<ReadonlyMap<string, string>> {
  const directories = new Map<string, string>();
  for (const volume of pod.spec.volumes ?? []) directories.set(volume.name, await prepare(pod, volume, options));
  return directories;
}

async function prepare(pod: Pod, volume: Volume, options: VolumesOptions): Promise<string> {
  const { hostPath, emptyDir, persistentVolumeClaim: claim } = volume;
  if (hostPath !== undefined) return onNode(hostPath, options.nodeRoot);
  const { fsGroup } = pod.spec.securityContext ?? {};
  if (claim !== undefined) {
    const directory = await options.claimDirectory(pod.metadata.namespace, claim.claimName);
    giveToGroup(directory, fsGroup, 0o660);
    return directory;
  }
  const directory = join(options.directory, volume.name);
  mkdirSync(directory, { recursive: true });
  if (emptyDir !== undefined) {
    chmodSync(directory, 0o777);
    giveToGroup(directory, fsGroup, 0o660);
    return directory;
  }
  for (const { path, bytes, mode, owner } of await filesOf(pod, volume, options)) {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    chmodSync(file, mode);
    if (owner !== undefined) chownSync(file, owner, 0);
  }
  giveToGroup(directory, fsGroup, 0o440);
  return directory;
}

function onNode({ path, type = '' }: { path: string; type?: string }, nodeRoot: string): string {
  const directory = join(nodeRoot, path);
  if (type === 'DirectoryOrCreate') mkdirSync(directory, { recursive: true, mode: 0o755 });
  const isThere = existsSync(directory) && (type !== 'Directory' || statSync(directory).isDirectory());
  if (!isThere) throw new NotYet('ContainerCreating', `hostPath type check failed: ${path} is not a directory`);
  return directory;
}

/** As the kubelet does where a pod has an fsGroup; once, which `OnRootMismatch` comes to. */
function giveToGroup(path: string, group: number | undefined, mode: number): void {
  if (group === undefined || statSync(path).gid === group) return;
  const entry = statSync(path);
  if (entry.isDirectory()) for (const name of readdirSync(path)) giveToGroup(join(path, name), group, mode);
  chownSync(path, entry.uid, group);
  chmodSync(path, (entry.mode & 0o777) | mode | (entry.isDirectory() ? 0o2110 : 0));
}

async function filesOf(pod: Pod, volume: Volume, { api }: VolumesOptions): Promise<File[]> {
  const { configMap, secret, downwardAPI, projected, name } = volume;
  const namespace = pod.metadata.namespace;
  if (configMap !== undefined) return keysOf(api, namespace, 'configmaps', configMap, configMap.defaultMode);
  if (secret !== undefined) return keysOf(api, namespace, 'secrets', secret, secret.defaultMode);
  if (downwardAPI !== undefined) return fieldsOf(pod, downwardAPI, downwardAPI.defaultMode);
  if (projected === undefined) throw new NotYet('ContainerCreating', `nothing stands in for the volume ${name}`);
  const files = projected.sources.map(async (source) => {
    if (source.serviceAccountToken !== undefined) return [await tokenOf(api, pod, source.serviceAccountToken)];
    const mode = projected.defaultMode;
    if (source.configMap !== undefined) return keysOf(api, namespace, 'configmaps', source.configMap, mode);
    if (source.secret !== undefined) return keysOf(api, namespace, 'secrets', source.secret, mode);
    if (source.downwardAPI !== undefined) return fieldsOf(pod, source.downwardAPI, mode);
    throw new NotYet('ContainerCreating', `nothing stands in for a source of the volume ${name}`);
  });
  return (await Promise.all(files)).flat();
}

async function keysOf(
  api: KubernetesUser,
  namespace: string,
  kind: 'secrets' | 'configmaps',
  { name, secretName, items, optional = false }: FileSource,
  defaultMode = 0o644,
): Promise<File[]> {
  const found = await filesIn(api, namespace, kind, name ?? secretName ?? '', optional);
  if (found === undefined) return [];
  const wanted = items ?? [...found.keys()].map((key) => ({ key, path: key, mode: undefined }));
  return wanted.flatMap(({ key, path, mode = defaultMode }) => {
    const bytes = found.get(key);
    if (bytes !== undefined) return [{ path, bytes, mode }];
    if (optional) return [];
    throw new NotYet('ContainerCreating', `references non-existent config key: ${key}`);
  });
}

function fieldsOf(pod: Pod, { items = [] }: DownwardFiles, mode = 0o644): File[] {
  return items.flatMap(({ path, fieldRef }) =>
    fieldRef === undefined ? [] : [{ path, bytes: Buffer.from(fieldOf(pod, fieldRef.fieldPath)), mode }],
  );
}

/** By the real TokenRequest, bound to the pod. Its file is for the pod's one user, where it has one. */
async function tokenOf(api: KubernetesUser, pod: Pod, { path, audience, expirationSeconds }: TokenSource) {
  const { namespace, name, uid } = pod.metadata;
  const { serviceAccountName = 'default', containers, securityContext } = pod.spec;
  const spec = {
    ...(audience !== undefined && { audiences: [audience] }),
    expirationSeconds: expirationSeconds ?? 3600,
    boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
  };
  const asked = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccountName}/token`;
  const { status } = await api.call<{ status: { token: string } }>('POST', asked, { spec });
  const users = new Set(containers.map((one) => one.securityContext?.runAsUser ?? securityContext?.runAsUser));
  const [owner] = users;
  const isOnes = users.size === 1 && owner !== undefined;
  const mode = isOnes || securityContext?.fsGroup !== undefined ? 0o600 : 0o644;
  return { path, bytes: Buffer.from(status.token), mode, ...(isOnes && { owner }) };
}
