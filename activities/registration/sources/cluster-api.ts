// What registration asks of a cluster's API: objects of a kind kept up to date, statuses written, and one small record kept.
import type { KubernetesObject } from '../objects/kubernetes-objects.ts';

export interface ResourceKind {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** All namespaces, or none, where nothing is said. */
  readonly namespace?: string;
}

export interface WatchedObjects<T extends KubernetesObject> {
  /** Undefined until they have all been listed; an object that has changed is another object. */
  objects(): readonly T[] | undefined;
}

export interface ClusterApi {
  watch<T extends KubernetesObject>(kind: ResourceKind, onChange: () => void): WatchedObjects<T>;
  /** Of a cluster's own object; one that is gone by now is passed over. */
  writeStatus(kind: ResourceKind, name: string, status: object): Promise<void>;
}

const core = (plural: string, namespace?: string): ResourceKind =>
  namespace === undefined ? { group: '', version: 'v1', plural } : { group: '', version: 'v1', plural, namespace };
const spire = (plural: string): ResourceKind => ({ group: 'spire.spiffe.io', version: 'v1alpha1', plural });

export const kinds = {
  pods: core('pods'),
  nodes: core('nodes'),
  namespaces: core('namespaces'),
  endpointSlices: { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' },
  clusterSpiffeIds: spire('clusterspiffeids'),
  clusterStaticEntries: spire('clusterstaticentries'),
  clusterFederatedTrustDomains: spire('clusterfederatedtrustdomains'),
  podsOf: (namespace: string) => core('pods', namespace),
  serviceAccountsOf: (namespace: string) => core('serviceaccounts', namespace),
} as const;
