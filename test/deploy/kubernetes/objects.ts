// Kubernetes' objects as deploy/ has them, and what is asked of a whole deployment of them.
import { parseAllDocuments } from 'yaml';
import type { PodSpec } from './pod-rules.ts';

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: PodSpec;
    };
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly unknown[];
    readonly egress?: readonly unknown[];
    readonly ports?: readonly { readonly name: string; readonly port: number; readonly nodePort?: number }[];
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

/** Both programs write YAML 1.1, in which 0440 is a number in octal. */
export function readObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}

export function podsOf(objects: readonly KubernetesObject[]): { name: string; replicas: number; spec: PodSpec }[] {
  return objects.flatMap(({ kind, metadata, spec }) => {
    if (spec?.template === undefined) return [];
    // A cluster of the seeds has one node.
    const replicas = kind === 'DaemonSet' ? 1 : (spec.replicas ?? 1);
    return [{ name: `${kind} ${metadata.name}`, replicas, spec: spec.template.spec }];
  });
}

/** CPU in thousandths, memory in MiB. */
export function sumOf(objects: readonly KubernetesObject[], kind: 'requests' | 'limits') {
  const containers = podsOf(objects).flatMap(({ replicas, spec }) =>
    Array.from({ length: replicas }, () => spec.containers).flat(),
  );
  const sum = (what: string, parse: (text: string) => number): number =>
    containers.reduce((total, { resources }) => total + parse(resources?.[kind]?.[what] ?? ''), 0);
  return { cpu: sum('cpu', parseCpu), memory: sum('memory', parseMemory) };
}

function parseCpu(text: string): number {
  const match = /^(\d+)(m?)$/.exec(text);
  if (match === null) throw new Error(`not an amount of CPU: ${text}`);
  return Number(match[1]) * (match[2] === 'm' ? 1 : 1000);
}

function parseMemory(text: string): number {
  const match = /^(\d+)(Mi|Gi)$/.exec(text);
  if (match === null) throw new Error(`not an amount of memory: ${text}`);
  return Number(match[1]) * (match[2] === 'Gi' ? 1024 : 1);
}

/** Of a whole deployment: what is missing around its pods. */
export function deploymentFaults(objects: readonly KubernetesObject[]): string[] {
  const namespaces = objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.name);
  const faults: string[] = objects
    .filter(({ kind }) => kind === 'Secret')
    .map(({ metadata }) => `Secret ${metadata.name} is made here`);
  for (const namespace of namespaces)
    if (!objects.some((object) => object.metadata.namespace === namespace && deniesAll(object)))
      faults.push(`namespace ${namespace} denies nothing by default`);
  for (const { kind, metadata, spec } of objects) {
    if (metadata.namespace !== undefined && !namespaces.includes(metadata.namespace))
      faults.push(`${kind} ${metadata.name} is in namespace ${metadata.namespace}, which is not made`);
    if (kind !== 'Deployment' && kind !== 'StatefulSet') continue;
    const labels = spec?.template?.metadata.labels ?? {};
    const budget = objects.find(
      (other) =>
        other.kind === 'PodDisruptionBudget' &&
        other.metadata.namespace === metadata.namespace &&
        selects(other, labels),
    );
    if (budget === undefined) faults.push(`${kind} ${metadata.name} has no PodDisruptionBudget`);
  }
  return faults;
}

function selects({ spec }: KubernetesObject, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(spec?.selector?.matchLabels ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
}

function deniesAll({ kind, spec }: KubernetesObject): boolean {
  if (kind !== 'NetworkPolicy' || spec === undefined) return false;
  const { podSelector, policyTypes, ingress, egress } = spec;
  const everyPod = podSelector !== undefined && Object.keys(podSelector).length === 0;
  return everyPod && policyTypes?.length === 2 && ingress === undefined && egress === undefined;
}
