// A STAND-IN for kube-scheduler and for a provisioner of volumes. A pod goes to the node that its affinity names, or else to the one with the fewest pods, once its
// claims are bound; neither resources nor taints count. A claim gets a directory; that it is bound is the real controller's doing.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { KubernetesUser } from '../kubernetes.ts';
import { namedNodes, podPath } from './objects.ts';
import type { List, Metadata, Pod } from './objects.ts';

export interface SchedulerOptions {
  readonly scheduler: KubernetesUser;
  readonly administrator: KubernetesUser;
  readonly nodes: readonly string[];
  readonly claims: string;
}

export interface Claim {
  readonly metadata: Metadata;
  readonly spec: {
    readonly accessModes: readonly string[];
    readonly volumeName?: string;
    readonly resources: { readonly requests: object };
  };
  readonly status?: { readonly phase?: string };
}

export interface Scheduler {
  /** What is to be done now. */
  act(pods: readonly Pod[]): Promise<void>;
  /** Where a bound claim's data is. */
  claimDirectory(namespace: string, claim: string): Promise<string>;
}

export function createScheduler({ scheduler, administrator, nodes, claims }: SchedulerOptions): Scheduler {
  const provisioned = new Set<string>();

  async function provision({ metadata, spec }: Claim): Promise<void> {
    if (provisioned.has(metadata.uid) || spec.volumeName !== undefined) return;
    const name = `volume-${metadata.uid}`;
    const path = join(claims, metadata.uid);
    mkdirSync(path, { recursive: true, mode: 0o777 });
    await administrator.call('POST', '/api/v1/persistentvolumes', {
      metadata: { name },
      spec: {
        capacity: spec.resources.requests,
        accessModes: spec.accessModes,
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: metadata.name, namespace: metadata.namespace, uid: metadata.uid }, // prettier-ignore
        hostPath: { path },
      },
    });
    provisioned.add(metadata.uid);
  }

  async function bind(pod: Pod, node: string): Promise<void> {
    const { name } = pod.metadata;
    const target = { apiVersion: 'v1', kind: 'Node', name: node };
    await scheduler.call('POST', `${podPath(pod)}/binding`, { metadata: { name }, target });
  }

  return {
    async act(pods) {
      const { items } = await administrator.call<List<Claim>>('GET', '/api/v1/persistentvolumeclaims');
      for (const claim of items) await provision(claim);
      const load = new Map(nodes.map((node) => [node, pods.filter(({ spec }) => spec.nodeName === node).length]));
      for (const pod of pods) {
        if (pod.spec.nodeName !== undefined || pod.metadata.deletionTimestamp !== undefined) continue;
        if (!claimsOf(pod).every((claim) => items.some((one) => isNamed(one, pod, claim) && one.status?.phase === 'Bound'))) continue; // prettier-ignore
        const fitting = namedNodes(pod.spec) ?? nodes;
        const [node] = [...load].filter(([name]) => fitting.includes(name)).sort(([, a], [, b]) => a - b)[0] ?? [];
        if (node === undefined) continue;
        load.set(node, (load.get(node) ?? 0) + 1);
        await bind(pod, node);
      }
    },
    async claimDirectory(namespace, claim) {
      const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claim}`;
      const { metadata } = await administrator.call<Claim>('GET', path);
      return join(claims, metadata.uid);
    },
  };
}

const claimsOf = ({ spec }: Pod): string[] =>
  (spec.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);
const isNamed = ({ metadata }: Claim, pod: Pod, name: string): boolean =>
  metadata.namespace === pod.metadata.namespace && metadata.name === name;
