// A cluster as registration sees it: a namespace `shop` with a pod on a node, and whatever a test adds.
import {
  createClusterRenderer,
  type ClusterResources,
  type RenderRules,
} from '../../../activities/registration/custom-resources/render-cluster.ts';
import { defaultParentIdTemplate } from '../../../activities/registration/custom-resources/render-pod-entry.ts';
import { sampleNodeData } from '../../../activities/registration/custom-resources/template-data.ts';
import type { CustomResource, Pod } from '../../../activities/registration/objects/kubernetes-objects.ts';
import { parseTemplate } from '../../../activities/registration/template/template.ts';

export const serviceAccountTemplate =
  'spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}';

export const rules: RenderRules = {
  trustDomain: 'example.org',
  clusterName: 'demo',
  clusterDomain: 'cluster.local',
  className: '',
  watchClassless: false,
  parentIdTemplate: parseTemplate(defaultParentIdTemplate, sampleNodeData),
  ignoreNamespaces: [/^kube-system$/],
};

export const namespace = (name: string, labels: Record<string, string> = {}) => ({
  metadata: { name, uid: `namespace-${name}`, labels },
});

export const node = (name: string) => ({ metadata: { name, uid: `uid-of-${name}` }, spec: {} });

export const pod = (
  name: string,
  more: { namespace?: string; labels?: Record<string, string>; nodeName?: string } = {},
): Pod => ({
  metadata: { name, namespace: more.namespace ?? 'shop', uid: `uid-of-${name}`, labels: more.labels ?? {} },
  spec: { nodeName: more.nodeName ?? 'node-a', serviceAccountName: 'api', containers: [{ name: 'main' }] },
});

let made = 0;
/** Each younger than the one before. */
export function resource(name: string, spec: object, more: object = {}): CustomResource {
  const creationTimestamp = new Date(1_700_000_000_000 + 1000 * (made += 1)).toISOString();
  return { metadata: { name, uid: `uid-of-${name}`, creationTimestamp, ...more }, spec };
}

export const spiffeIds = (spec: object, name = 'all') =>
  resource(name, { spiffeIDTemplate: serviceAccountTemplate, ...spec });

export function objects(more: Partial<ClusterResources> = {}): ClusterResources {
  return {
    clusterSpiffeIds: [],
    clusterStaticEntries: [],
    namespaces: [namespace('shop')],
    pods: [pod('api-0')],
    nodes: [node('node-a')],
    endpointSlices: [],
    ...more,
  };
}

export const rendered = (more: Partial<ClusterResources>, changed: Partial<RenderRules> = {}) =>
  createClusterRenderer({ ...rules, ...changed })(objects(more));
