// The bases of `deploy/kubernetes` as objects, with the names and the namespace that an overlay gives them: one truth for whoever installs by hand and for
// the control plane. What kustomize does for our overlays, and no more of it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

const directory = join(import.meta.dirname, '../../deploy/kubernetes/bases');

export interface BaseObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  /** Of a ConfigMap. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface Overlay {
  readonly bases: readonly string[];
  readonly prefix: string;
  readonly namespace: string;
  /** ConfigMaps that the bases refer to and the overlay makes, by their names in the bases. */
  readonly configMaps: readonly string[];
}

/** What an overlay makes beside the bases. */
export function configMap(namespace: string, name: string, data: Readonly<Record<string, string>>): BaseObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
}

type Json = Readonly<Record<string, unknown>>;

const inNoNamespace = new Set(['ClusterRole', 'ClusterRoleBinding']);

export function renderBases({ bases, prefix, namespace, configMaps }: Overlay): BaseObject[] {
  const objects = bases.flatMap(readBase);
  const known = new Set([
    ...objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ...configMaps.map((name) => `ConfigMap ${name}`),
  ]);
  /** Only what is made here gets another name: what somebody else makes is called as it is. */
  const nameOf = (kind: string, name: unknown): unknown =>
    typeof name === 'string' && known.has(`${kind} ${name}`) ? prefix + name : name;

  const subject = (one: Json): Json => {
    const name = nameOf('ServiceAccount', one['name']);
    return name === one['name'] ? one : { ...one, name, namespace };
  };
  const volume = (one: Json): Json =>
    changed(one, 'configMap', (configMap) => ({ ...configMap, name: nameOf('ConfigMap', configMap['name']) }));
  const pod = (spec: Json): Json => ({
    ...spec,
    serviceAccountName: nameOf('ServiceAccount', spec['serviceAccountName']),
    volumes: listIn(spec, 'volumes').map(volume),
  });
  const spec = (one: Json): Json => ({
    ...changed(one, 'template', (template) => changed(template, 'spec', pod)),
    ...('serviceName' in one ? { serviceName: nameOf('Service', one['serviceName']) } : {}),
  });

  return objects.map((object) => {
    const { kind, metadata } = object;
    const place = inNoNamespace.has(kind) ? {} : { namespace };
    const named = { ...object, metadata: { ...metadata, name: prefix + metadata.name, ...place } };
    const referring = changed(changed(named, 'spec', spec), 'roleRef', (role) => ({
      ...role,
      name: nameOf(String(role['kind']), role['name']),
    }));
    const subjects = listIn(referring, 'subjects').map(subject);
    return { ...referring, ...(subjects.length === 0 ? {} : { subjects }) } as unknown as BaseObject;
  });
}

/** Every file of a base but what tells kustomize about it. */
function readBase(name: string): BaseObject[] {
  const files = readdirSync(join(directory, name)).filter((file) => file !== 'kustomization.yaml');
  return files.toSorted().flatMap((file) =>
    // The version that kustomize reads, in which 0440 is octal.
    parseAllDocuments(readFileSync(join(directory, name, file), 'utf8'), { version: '1.1' })
      .map((document) => document.toJS() as BaseObject | null)
      .filter((object) => object !== null),
  );
}

function changed(of: Json, key: string, change: (value: Json) => Json): Json {
  return of[key] === undefined ? of : { ...of, [key]: change(of[key] as Json) };
}

function listIn(of: Json, key: string): readonly Json[] {
  return (of[key] ?? []) as readonly Json[];
}
