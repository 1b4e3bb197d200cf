// Everything that the custom resources of one cluster ask for. What was rendered for a pod is kept for as long as the pod, its node, its services and the
// resource are the same objects: of ten thousand pods a change concerns one.
import type { DeclaredEntry, Declarer, RegistrationFault, WantedEntry } from '../entries/wanted-entry.ts';
import { nameOf } from '../entries/wanted-entry.ts';
import type {
  CustomResource,
  EndpointSlice,
  KubernetesObject,
  Namespace,
  Node,
  Pod,
} from '../objects/kubernetes-objects.ts';
import type { Template } from '../template/template.ts';
import { isOfClass } from './class-name.ts';
import type { ClassRule } from './class-name.ts';
import { parseClusterSpiffeId } from './cluster-spiffe-id.ts';
import type { ClusterSpiffeIdSpec } from './cluster-spiffe-id.ts';
import { renderStaticEntry } from './cluster-static-entry.ts';
import { declarerOf } from './declarers.ts';
import { SpecError } from './read-spec.ts';
import { renderPodEntry } from './render-pod-entry.ts';
import { servicesOfPods } from './services.ts';
import type { ClusterNames } from './template-data.ts';

export interface ClusterResources {
  readonly clusterSpiffeIds: readonly CustomResource[];
  readonly clusterStaticEntries: readonly CustomResource[];
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly nodes: readonly Node[];
  readonly endpointSlices: readonly EndpointSlice[];
}

export interface RenderRules extends ClusterNames, ClassRule {
  readonly parentIdTemplate: Template;
  readonly ignoreNamespaces: readonly RegExp[];
}

/** What a ClusterSPIFFEID's status says of its rendering. */
export interface SelectionCounts {
  readonly namespacesSelected: number;
  readonly namespacesIgnored: number;
  readonly podsSelected: number;
  readonly podEntryRenderFailures: number;
}

export interface RenderedResource {
  readonly by: Declarer;
  readonly resource: CustomResource;
  /** Of a ClusterSPIFFEID. */
  readonly counts?: SelectionCounts;
  /** Of a ClusterStaticEntry. */
  readonly rendered?: boolean;
}

export interface RenderedCluster {
  readonly declared: readonly DeclaredEntry[];
  readonly resources: readonly RenderedResource[];
  readonly faults: readonly RegistrationFault[];
}

export function createClusterRenderer(rules: RenderRules): (resources: ClusterResources) => RenderedCluster {
  const memory = new WeakMap<CustomResource, RenderedPods>();
  const specs = new WeakMap<CustomResource, ClusterSpiffeIdSpec | SpecError>();
  const cluster = rules.clusterName;

  return (resources) => {
    const declared: DeclaredEntry[] = [];
    const rendered: RenderedResource[] = [];
    const faults: RegistrationFault[] = [];
    const own = <T extends CustomResource>(list: readonly T[]): T[] =>
      list.filter(({ spec }) => isOfClass(spec, rules));
    for (const resource of own(resources.clusterStaticEntries)) {
      const by = declarerOf(cluster, 'ClusterStaticEntry', resource);
      const entry = unlessFaulty(() => renderStaticEntry(resource.spec), by, faults);
      if (entry !== undefined) declared.push({ entry, by });
      rendered.push({ by, resource, rendered: entry !== undefined });
    }
    const parsed = own(resources.clusterSpiffeIds).map((resource) => {
      const by = declarerOf(cluster, 'ClusterSPIFFEID', resource);
      return { resource, by, spec: unlessFaulty(() => specOf(resource), by, faults) };
    });
    const world = surroundings(
      resources,
      parsed.some(({ spec }) => spec?.autoPopulateDNSNames === true),
    );
    const applied = new Set<string>();
    // Fallbacks last: they are for pods that nothing else has given an entry.
    for (const { resource, by, spec } of parsed.sort((a, b) => isFallback(a) - isFallback(b))) {
      if (spec === undefined) {
        rendered.push({ by, resource });
        continue;
      }
      const pods = podsOf(resource, memory);
      const counts = renderPods({ spec, by, pods, world, applied, declared, faults });
      rendered.push({ by, resource, counts });
    }
    return { declared, resources: rendered, faults };
  };

  function specOf(resource: CustomResource): ClusterSpiffeIdSpec {
    const known = specs.get(resource);
    if (known instanceof SpecError) throw known;
    if (known !== undefined) return known;
    try {
      const spec = parseClusterSpiffeId(resource.spec);
      specs.set(resource, spec);
      return spec;
    } catch (cause) {
      if (cause instanceof SpecError) specs.set(resource, cause);
      throw cause;
    }
  }

  function renderPods({ spec, by, pods, world, applied, declared, faults }: PodsToRender): SelectionCounts {
    const namespaces = world.namespaces.filter(({ metadata }) => spec.namespaceSelector(metadata.labels ?? {}));
    const watched = namespaces.filter(
      ({ metadata: { name } }) => !rules.ignoreNamespaces.some((one) => one.test(name)),
    );
    let [podsSelected, podEntryRenderFailures] = [0, 0];
    for (const pod of watched.flatMap(({ metadata: { name } }) => world.podsIn.get(name) ?? [])) {
      if (!spec.podSelector(pod.metadata.labels ?? {})) continue;
      podsSelected += 1;
      const { uid } = pod.metadata;
      if (spec.fallback && applied.has(uid)) continue;
      const result = renderPod(spec, pod, pods, world);
      if (result === undefined) continue;
      if ('entry' in result) {
        declared.push({ entry: result.entry, by });
        if (!spec.fallback) applied.add(uid);
      } else {
        podEntryRenderFailures += 1;
        const name = `${nameOf(by)}, pod ${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
        faults.push({ by: name, field: result.field, reason: result.reason });
      }
    }
    const namespacesIgnored = namespaces.length - watched.length;
    return { namespacesSelected: namespaces.length, namespacesIgnored, podsSelected, podEntryRenderFailures };
  }

  /** Undefined while no node has the pod: it is not there yet. */
  function renderPod(
    spec: ClusterSpiffeIdSpec,
    pod: Pod,
    known: RenderedPods,
    world: Surroundings,
  ): Result | undefined {
    const { nodeName = '' } = pod.spec;
    if (nodeName === '') return undefined;
    const node = world.nodes.get(nodeName);
    if (node === undefined) return { field: 'spec.nodeName', reason: `node ${nodeName} is not there` };
    const services = world.services.get(pod.metadata.uid) ?? [];
    const before = known.get(pod);
    const names = services.join();
    if (before?.node === node && before.services === names) return before.result;
    const result = resultOf(() =>
      renderPodEntry({ spec, pod, node, services, names: rules, parentIdTemplate: rules.parentIdTemplate }),
    );
    known.set(pod, { node, services: names, result });
    return result;
  }
}

type Result = { readonly entry: WantedEntry } | { readonly field: string; readonly reason: string };
/** By the pod as it is: one that changed is another object. */
type RenderedPods = WeakMap<Pod, { readonly node: Node; readonly services: string; readonly result: Result }>;

interface PodsToRender {
  readonly spec: ClusterSpiffeIdSpec;
  readonly by: Declarer;
  readonly pods: RenderedPods;
  readonly world: Surroundings;
  readonly applied: Set<string>;
  readonly declared: DeclaredEntry[];
  readonly faults: RegistrationFault[];
}

interface Surroundings {
  readonly namespaces: readonly Namespace[];
  readonly podsIn: ReadonlyMap<string, readonly Pod[]>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly services: ReadonlyMap<string, readonly string[]>;
}

function surroundings(resources: ClusterResources, needsServices: boolean): Surroundings {
  const podsIn = new Map<string, Pod[]>();
  for (const pod of resources.pods) {
    const { namespace = '' } = pod.metadata;
    const there = podsIn.get(namespace);
    if (there === undefined) podsIn.set(namespace, [pod]);
    else there.push(pod);
  }
  return {
    namespaces: resources.namespaces,
    podsIn,
    nodes: new Map(resources.nodes.map((node) => [node.metadata.name, node])),
    services: needsServices ? servicesOfPods(resources.endpointSlices) : new Map<string, string[]>(),
  };
}

function podsOf(resource: KubernetesObject, memory: WeakMap<KubernetesObject, RenderedPods>): RenderedPods {
  const known = memory.get(resource);
  if (known !== undefined) return known;
  const pods: RenderedPods = new WeakMap();
  memory.set(resource, pods);
  return pods;
}

const isFallback = ({ spec }: { readonly spec: ClusterSpiffeIdSpec | undefined }): number =>
  Number(spec?.fallback ?? false);

function resultOf(render: () => WantedEntry): Result {
  try {
    return { entry: render() };
  } catch (cause) {
    const { message } = cause as Error;
    const colon = message.indexOf(': ');
    return { field: `spec.${message.slice(0, colon)}`, reason: message.slice(colon + 2) };
  }
}

function unlessFaulty<T>(read: () => T, by: Declarer, faults: RegistrationFault[]): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof SpecError)) throw cause;
    faults.push(...cause.faults.map((fault) => ({ by: nameOf(by), ...fault })));
    return undefined;
  }
}
