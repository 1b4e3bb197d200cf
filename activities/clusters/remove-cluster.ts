// Takes away what the control plane made in a cluster: by its label, by each object's uid, what runs before what it runs on, and a namespace last, unless
// somebody else keeps something in it.
import type { KubernetesApi } from '../clients/kubernetes/kubernetes-api.ts';
import type { AnyObject } from '../clients/kubernetes/resource-kinds.ts';
import { failure } from '../failures.ts';
import { ask } from './apply.ts';
import type { AtCluster, InCluster } from './cluster.ts';
import { agentNamespace, isServer, serverNamespace } from './cluster.ts';
import { kinds, nameOf, placeOf } from './kinds.ts';
import { labelsOf, ownedLabels } from './labels.ts';
import type { Labels } from './labels.ts';

export interface Found {
  readonly kind: string;
  readonly object: AnyObject;
}

/** What Kubernetes itself puts into every namespace. */
const ofKubernetes = new Set(['ConfigMap kube-root-ca.crt', 'ServiceAccount default']);
const workloads = ['StatefulSet', 'DaemonSet', 'Pod'];
const mostNamed = 5;

/** Everything that bears the labels: no other namespace has anything of ours, and nobody needs to read theirs. */
export async function findLabelled(api: KubernetesApi, within: AtCluster, labels: Labels): Promise<Found[]> {
  const found: Found[] = [];
  for (const { kind, isNamespaced } of kinds) {
    for (const namespace of isNamespaced ? [serverNamespace, agentNamespace] : [undefined]) {
      const objects = await ask(within, `list of ${kind}`, () => api.list(placeOf(kind, namespace), labels));
      found.push(...objects.map((object) => ({ kind, object })));
    }
  }
  return found;
}

/** One step of it; throws NotReady as long as something is there. */
export async function removeStep(api: KubernetesApi, input: AtCluster & { owner?: string }): Promise<void> {
  const { owner } = input;
  const labels = owner === undefined ? labelsOf(input) : ownedLabels({ ...input, owner });
  const found = await findLabelled(api, input, labels);
  const steps = [
    found.filter(({ kind }) => workloads.includes(kind)),
    found.filter(({ kind }) => kind !== 'Namespace'),
    found,
  ];
  const now = steps.find((step) => step.length > 0);
  if (now === undefined) return;
  for (const { kind, object } of now.toReversed()) {
    const { name, namespace, uid, deletionTimestamp } = object.metadata;
    if (deletionTimestamp !== undefined || kind === 'Pod') continue; // pods go with what made them
    if (kind === 'Namespace') await refuseShared(api, input, name);
    await ask(input, nameOf(kind, object.metadata), () =>
      api.remove(placeOf(kind, namespace), name, { uid, foreground: workloads.includes(kind) }),
    );
  }
  throw areThere(now);
}

/**
 * One step of taking away what servers leave that the plan has no more: their volumes, with their keys, when their pods are gone, and then their Services. By
 * those the next run knows that something is left.
 */
export async function removeServersStep(api: KubernetesApi, input: InCluster): Promise<void> {
  const found = (await findLabelled(api, input, labelsOf(input))).filter(({ object }) => {
    const server = object.metadata.name.replace(/^data-/, ''); // so Kubernetes names its volume
    return isServer(server) && !input.cluster.servers.includes(server);
  });
  const steps = ['Pod', 'PersistentVolumeClaim', 'Service'].map((step) => found.filter(({ kind }) => kind === step));
  const now = steps.find((step) => step.length > 0);
  if (now === undefined) return;
  for (const { kind, object } of now) {
    const { name, namespace, uid } = object.metadata;
    if (kind === 'Pod') continue; // its StatefulSet lets it go
    await ask(input, nameOf(kind, object.metadata), () => api.remove(placeOf(kind, namespace), name, { uid }));
  }
  throw areThere(now);
}

function areThere(objects: readonly Found[]): Error {
  const named = objects.slice(0, mostNamed).map(({ kind, object: { metadata } }) => {
    const since = metadata.deletionTimestamp === undefined ? '' : `, going since ${metadata.deletionTimestamp}`;
    return `${nameOf(kind, metadata)}${since}`;
  });
  const more = objects.length > mostNamed ? '; …' : '';
  return failure('NotReady', `${objects.length} objects are there: ${named.join('; ')}${more}`);
}

/** With a namespace goes everything in it. */
async function refuseShared(api: KubernetesApi, within: AtCluster, namespace: string): Promise<void> {
  const others: string[] = [];
  for (const { kind, isNamespaced } of kinds) {
    if (!isNamespaced) continue;
    const found = await ask(within, `list of ${kind}`, () => api.list(placeOf(kind, namespace)));
    others.push(...found.map(({ metadata }) => `${kind} ${metadata.name}`).filter((name) => !ofKubernetes.has(name)));
  }
  if (others.length > 0)
    throw failure(
      'Conflict',
      `namespace ${namespace} of cluster ${within.cluster.name} is left, as somebody else keeps something in it: ${others.slice(0, mostNamed).join(', ')}`,
    );
}
