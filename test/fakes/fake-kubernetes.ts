// A cluster's API server as far as objects go: they are there once they are applied, and gone when they are removed. No controller runs: what Kubernetes would
// make of them, a test puts there.
import type { KubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import type { AnyObject, ResourceKind } from '../../activities/clients/kubernetes/resource-kinds.ts';

export interface FakeKubernetes extends KubernetesApi {
  /** `services spire-server/spire-server-0`, in the order in which they were made. */
  readonly names: () => string[];
  readonly put: (kind: ResourceKind, object: AnyObject) => void;
}

export function createFakeKubernetes(): FakeKubernetes {
  const objects = new Map<string, AnyObject>();
  const keyOf = ({ plural, namespace = '' }: ResourceKind, name: string): string => `${plural} ${namespace}/${name}`;
  const put = (kind: ResourceKind, object: AnyObject): void => {
    const key = keyOf(kind, object.metadata.name);
    const uid = objects.get(key)?.metadata.uid ?? `uid of ${key}`;
    objects.set(key, { ...object, metadata: { ...object.metadata, uid } });
  };
  const taken = async <T extends AnyObject>(kind: ResourceKind, object: object): Promise<T> => {
    put(kind, object as AnyObject);
    return object as T;
  };
  const unused = (): never => {
    throw new Error('nobody asks this of a cluster');
  };
  return {
    names: () => [...objects.keys()],
    put,
    find: async <T extends AnyObject>(kind: ResourceKind, name: string) =>
      objects.get(keyOf(kind, name)) as T | undefined,
    list: async <T extends AnyObject>(kind: ResourceKind, labels: Readonly<Record<string, string>> = {}) =>
      [...objects]
        .filter(([key]) => key.startsWith(keyOf(kind, '')))
        .map(([, object]) => object as T)
        .filter(({ metadata }) => Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value)),
    create: taken,
    apply: (kind, object) => taken(kind, object),
    merge: unused,
    replace: unused,
    remove: async (kind, name) => void objects.delete(keyOf(kind, name)),
  };
}
