// The kinds of object that a cluster carries for us, as the API server's paths name them, in the order in which they are made; they go in reverse.
import type { ResourceKind } from '../clients/kubernetes/resource-kinds.ts';

interface Kind extends Omit<ResourceKind, 'namespace'> {
  readonly kind: string;
  readonly isNamespaced: boolean;
}

const core = { group: '', version: 'v1' };
const apps = { group: 'apps', version: 'v1' };
const rights = { group: 'rbac.authorization.k8s.io', version: 'v1' };

/** The cluster's own, which we only read. */
export const nodeKind: ResourceKind = { ...core, plural: 'nodes' };

export const kinds: readonly Kind[] = [
  { ...core, kind: 'Namespace', plural: 'namespaces', isNamespaced: false },
  { ...core, kind: 'ServiceAccount', plural: 'serviceaccounts', isNamespaced: true },
  { ...rights, kind: 'ClusterRole', plural: 'clusterroles', isNamespaced: false },
  { ...rights, kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', isNamespaced: false },
  { ...rights, kind: 'Role', plural: 'roles', isNamespaced: true },
  { ...rights, kind: 'RoleBinding', plural: 'rolebindings', isNamespaced: true },
  { group: 'networking.k8s.io', version: 'v1', kind: 'NetworkPolicy', plural: 'networkpolicies', isNamespaced: true },
  { group: 'policy', version: 'v1', kind: 'PodDisruptionBudget', plural: 'poddisruptionbudgets', isNamespaced: true },
  { ...core, kind: 'ConfigMap', plural: 'configmaps', isNamespaced: true },
  { ...core, kind: 'Secret', plural: 'secrets', isNamespaced: true },
  { ...core, kind: 'Service', plural: 'services', isNamespaced: true },
  // Made by Kubernetes for something of ours, whose labels they have.
  { ...core, kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims', isNamespaced: true },
  { ...core, kind: 'Pod', plural: 'pods', isNamespaced: true },
  { ...apps, kind: 'StatefulSet', plural: 'statefulsets', isNamespaced: true },
  { ...apps, kind: 'DaemonSet', plural: 'daemonsets', isNamespaced: true },
];

/** Where one of them is. */
export function placeOf(kind: string, namespace?: string): ResourceKind {
  const known = kinds.find((one) => one.kind === kind);
  if (known === undefined) throw new Error(`no kind of ours: ${kind}`);
  const { group, version, plural } = known;
  return { group, version, plural, ...(namespace === undefined ? {} : { namespace }) };
}

/** `StatefulSet spire-server/spire-db`. */
export function nameOf(kind: string, { name, namespace }: { name: string; namespace?: string | undefined }): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
