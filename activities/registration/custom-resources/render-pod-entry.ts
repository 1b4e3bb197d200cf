// The entry that a ClusterSPIFFEID makes for one pod: it names the pod by its UID and, by the parent, the node that the pod is on.
import { parseSelector } from '../../../runtime/spiffe/selector.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { keyed } from '../entries/wanted-entry.ts';
import type { WantedEntry } from '../entries/wanted-entry.ts';
import type { Node, Pod } from '../objects/kubernetes-objects.ts';
import type { Template } from '../template/template.ts';
import type { GoStruct } from '../template/value.ts';
import type { ClusterSpiffeIdSpec } from './cluster-spiffe-id.ts';
import { nodeData, podData } from './template-data.ts';
import type { ClusterNames } from './template-data.ts';

/** As the controller manager has it: `k8s_psat` names its agents so. */
export const defaultParentIdTemplate =
  'spiffe://{{ .TrustDomain }}/spire/agent/k8s_psat/{{ .ClusterName }}/{{ .NodeMeta.UID }}';

export interface PodToRender {
  readonly spec: ClusterSpiffeIdSpec;
  readonly pod: Pod;
  readonly node: Node;
  /** Names of the services that lead to the pod, all in its namespace, in order. */
  readonly services: readonly string[];
  readonly names: ClusterNames;
  readonly parentIdTemplate: Template;
}

/** Throws with the field of the ClusterSPIFFEID that does not fit this pod. */
export function renderPodEntry({ spec, pod, node, services, names, parentIdTemplate }: PodToRender): WantedEntry {
  const data = podData(names, pod, node);
  const { trustDomain } = names;
  const dnsNames = [
    ...spec.dnsNameTemplates.map((template, index) => within(`dnsNameTemplates.${index}`, () => template.render(data))),
    ...(spec.autoPopulateDNSNames ? serviceNames(services, pod.metadata.namespace ?? '', names.clusterDomain) : []),
  ];
  const selectors = spec.workloadSelectorTemplates.map((template, index) =>
    within(`workloadSelectorTemplates.${index}`, () => parseSelector(template.render(data))),
  );
  return keyed({
    spiffeId: within('spiffeIDTemplate', () => renderId(spec.spiffeIDTemplate, data, trustDomain)),
    parentId: within('parentIDTemplate', () => renderId(parentIdTemplate, nodeData(names, node), trustDomain)),
    selectors: [{ type: 'k8s', value: `pod-uid:${pod.metadata.uid}` }, ...selectors],
    x509SvidTtl: spec.ttl,
    jwtSvidTtl: spec.jwtTtl,
    federatesWith: spec.federatesWith,
    dnsNames: [...new Set(dnsNames)],
    admin: spec.admin,
    downstream: spec.downstream,
    storeSvid: false,
    hint: spec.hint,
  });
}

function renderId(template: Template, data: GoStruct, trustDomain: string): string {
  const rendered = template.render(data);
  const id = parsed(rendered);
  if (id.trustDomain.name !== trustDomain)
    throw new Error(`${JSON.stringify(rendered)} is of trust domain ${id.trustDomain.name}, want ${trustDomain}`);
  return id.toString();
}

function parsed(rendered: string): ReturnType<typeof parseSpiffeId> {
  try {
    return parseSpiffeId(rendered);
  } catch (cause) {
    throw new Error(`${JSON.stringify(rendered)} is no SPIFFE ID: ${(cause as Error).message}`, { cause });
  }
}

/** The names under which the cluster's DNS knows the services, sorted: the first of all names becomes the certificate's common name. */
function serviceNames(services: readonly string[], namespace: string, clusterDomain: string): string[] {
  return services
    .flatMap((service) => [
      service,
      `${service}.${namespace}`,
      `${service}.${namespace}.svc`,
      ...(clusterDomain === '' ? [] : [`${service}.${namespace}.svc.${clusterDomain}`]),
    ])
    .sort();
}

function within<T>(field: string, render: () => T): T {
  try {
    return render();
  } catch (cause) {
    throw new Error(`${field}: ${(cause as Error).message}`, { cause });
  }
}
