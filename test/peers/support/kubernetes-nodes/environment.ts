// What a container is told by variables: the image's, where the API server is, and its own, with what they refer to.
import { KubernetesRefusal } from '../kubernetes.ts';
import type { KubernetesUser } from '../kubernetes.ts';
import type { ContainerSpec, EnvironmentVariable, KeyReference, Pod } from './objects.ts';

export type Environment = Readonly<Record<string, string>>;

/** Why a container cannot be started yet, as the kubelet words it. */
export class NotYet extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.name = 'NotYet';
    this.reason = reason;
  }
}

/** Rejects with NotYet where something that it refers to is not there. */
export async function environmentOf(
  api: KubernetesUser,
  pod: Pod,
  { env = [] }: ContainerSpec,
  base: Environment,
): Promise<Environment> {
  const environment: Record<string, string> = { ...base };
  for (const variable of env) {
    const value = await valueOf(api, pod, variable, environment);
    if (value !== undefined) environment[variable.name] = value;
  }
  return environment;
}

async function valueOf(
  api: KubernetesUser,
  pod: Pod,
  { name, value = '', valueFrom }: EnvironmentVariable,
  known: Environment,
): Promise<string | undefined> {
  if (valueFrom === undefined) return expand(value, known);
  const { secretKeyRef, configMapKeyRef, fieldRef } = valueFrom;
  if (secretKeyRef !== undefined) return (await keyOf(api, pod, 'secrets', secretKeyRef))?.toString();
  if (configMapKeyRef !== undefined) return (await keyOf(api, pod, 'configmaps', configMapKeyRef))?.toString();
  if (fieldRef !== undefined) return fieldOf(pod, fieldRef.fieldPath);
  throw new Error(`nothing here gives the variable ${name} a value`);
}

async function keyOf(
  api: KubernetesUser,
  pod: Pod,
  kind: 'secrets' | 'configmaps',
  { name, key, optional = false }: KeyReference,
): Promise<Buffer | undefined> {
  const found = (await filesIn(api, pod.metadata.namespace, kind, name, optional))?.get(key);
  if (found === undefined && !optional)
    throw new NotYet('CreateContainerConfigError', `couldn't find key ${key} in ${kind} ${name}`);
  return found;
}

/** Of a Secret or a ConfigMap, by key; undefined where it is optional and not there. */
export async function filesIn(
  api: KubernetesUser,
  namespace: string,
  kind: 'secrets' | 'configmaps',
  name: string,
  optional: boolean,
): Promise<ReadonlyMap<string, Buffer> | undefined> {
  interface Keys {
    readonly data?: Readonly<Record<string, string>>;
    readonly binaryData?: Readonly<Record<string, string>>;
  }
  const asked = api.call<Keys>('GET', `/api/v1/namespaces/${namespace}/${kind}/${name}`);
  const object = await asked.catch((error: unknown) => {
    if (optional && error instanceof KubernetesRefusal && error.status === 404) return undefined;
    throw new NotYet('CreateContainerConfigError', `${kind} ${name}: ${(error as Error).message}`);
  });
  if (object === undefined) return undefined;
  const encoding = kind === 'secrets' ? 'base64' : 'utf8';
  return new Map([
    ...Object.entries(object.data ?? {}).map(([key, text]) => [key, Buffer.from(text, encoding)] as const),
    ...Object.entries(object.binaryData ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64')] as const),
  ]);
}

/** The downward API. */
export function fieldOf({ metadata, spec, status }: Pod, path: string): string {
  const [, of, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
  if (key !== undefined) return metadata[of as 'labels' | 'annotations']?.[key] ?? '';
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'spec.serviceAccountName': spec.serviceAccountName,
    'status.podIP': status.podIP,
    'status.hostIP': status.hostIP,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`nothing here knows the field ${path} of a pod`);
  return value;
}

/** `$(NAME)` as Kubernetes reads it: what is not known stays as it is, and `$$` is a dollar. */
export function expand(text: string, known: Environment): string {
  return text.replaceAll(/\$\$|\$\(([^)]+)\)/g, (found, name: string | undefined) =>
    name === undefined ? '$' : (known[name] ?? found),
  );
}
