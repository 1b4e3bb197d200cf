// What the templates of a ClusterSPIFFEID, and of a parent ID, may speak of.
import type { Value } from '../template/value.ts';
import type { GoStruct } from '../template/value.ts';
import { dataOf, metaOf, nodeSpecOf, podSpecOf } from '../objects/go-fields.ts';
import type { Node, Pod } from '../objects/kubernetes-objects.ts';

export interface ClusterNames {
  readonly trustDomain: string;
  readonly clusterName: string;
  /** Empty where nobody said it. */
  readonly clusterDomain: string;
}

type Json = Readonly<Record<string, unknown>>;

/** A parent ID is the node's: it must not depend on the pod. */
export function nodeData(names: ClusterNames, node: Node): GoStruct {
  return dataOf('template of a parent ID', nodeFields(names, node));
}

export function podData(names: ClusterNames, pod: Pod, node: Node): GoStruct {
  return dataOf('template', {
    ...nodeFields(names, node),
    PodMeta: () => metaOf(pod.metadata as unknown as Json),
    PodSpec: () => podSpecOf(pod.spec),
  });
}

function nodeFields(names: ClusterNames, node: Node): Readonly<Record<string, () => Value>> {
  return {
    TrustDomain: () => names.trustDomain,
    ClusterName: () => names.clusterName,
    ClusterDomain: () => names.clusterDomain,
    NodeMeta: () => metaOf(node.metadata as unknown as Json),
    NodeSpec: () => nodeSpecOf(node.spec ?? {}),
  };
}

const nobody = { trustDomain: '', clusterName: '', clusterDomain: '' };
const nothing = { metadata: { name: '', uid: '' }, spec: {} };

export const sampleNodeData = nodeData(nobody, nothing);
export const samplePodData = podData(nobody, nothing, nothing);
