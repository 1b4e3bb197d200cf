// A cluster whose custom resources say who is registered.
import { parseFederatedTrustDomain } from '../custom-resources/cluster-federated-trust-domain.ts';
import { isOfClass } from '../custom-resources/class-name.ts';
import { declarerOf } from '../custom-resources/declarers.ts';
import { SpecError } from '../custom-resources/read-spec.ts';
import { createClusterRenderer } from '../custom-resources/render-cluster.ts';
import type { RenderRules } from '../custom-resources/render-cluster.ts';
import type { RegistrationFault } from '../entries/wanted-entry.ts';
import { nameOf } from '../entries/wanted-entry.ts';
import type { DeclaredRelationship } from '../federation/plan-relationships.ts';
import type { CustomResource, EndpointSlice, Namespace, Node, Pod } from '../objects/kubernetes-objects.ts';
import type { ClusterSource } from '../reconcile/ports.ts';
import { kinds } from './cluster-api.ts';
import type { ClusterApi } from './cluster-api.ts';

export interface ResourceSourceOptions {
  readonly api: ClusterApi;
  readonly rules: RenderRules;
  readonly onChange: () => void;
}

export function createResourceSource({ api, rules, onChange }: ResourceSourceOptions): ClusterSource {
  const render = createClusterRenderer(rules);
  const clusterSpiffeIds = api.watch<CustomResource>(kinds.clusterSpiffeIds, onChange);
  const clusterStaticEntries = api.watch<CustomResource>(kinds.clusterStaticEntries, onChange);
  const federated = api.watch<CustomResource>(kinds.clusterFederatedTrustDomains, onChange);
  const namespaces = api.watch<Namespace>(kinds.namespaces, onChange);
  const nodes = api.watch<Node>(kinds.nodes, onChange);
  const pods = api.watch<Pod>(kinds.pods, onChange);
  const endpointSlices = api.watch<EndpointSlice>(kinds.endpointSlices, onChange);

  return {
    name: rules.clusterName,
    federates: true,
    view() {
      const known = allOrNothing({
        clusterSpiffeIds: clusterSpiffeIds.objects(),
        clusterStaticEntries: clusterStaticEntries.objects(),
        federated: federated.objects(),
        namespaces: namespaces.objects(),
        nodes: nodes.objects(),
        pods: pods.objects(),
        endpointSlices: endpointSlices.objects(),
      });
      if (known === undefined) return undefined;
      const { declared, resources, faults } = render(known);
      const { relationships, faults: others } = relationshipsOf(known.federated, rules);
      return { declared, resources, relationships, faults: [...faults, ...others] };
    },
    async writeStatuses(statuses) {
      for (const { of, status } of statuses) {
        const kind = of.by.kind === 'ClusterStaticEntry' ? kinds.clusterStaticEntries : kinds.clusterSpiffeIds;
        await api.writeStatus(kind, of.by.name, status);
      }
    },
  };
}

type Known<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> };

function allOrNothing<T extends object>(lists: T): Known<T> | undefined {
  return Object.values(lists).includes(undefined) ? undefined : (lists as Known<T>);
}

function relationshipsOf(resources: readonly CustomResource[], rules: RenderRules) {
  const relationships: DeclaredRelationship[] = [];
  const faults: RegistrationFault[] = [];
  for (const resource of resources) {
    if (!isOfClass(resource.spec, rules)) continue;
    const by = declarerOf(rules.clusterName, 'ClusterFederatedTrustDomain', resource);
    try {
      relationships.push({ relationship: parseFederatedTrustDomain(resource.spec), by });
    } catch (cause) {
      if (!(cause instanceof SpecError)) throw cause;
      faults.push(...cause.faults.map((fault) => ({ by: nameOf(by), ...fault })));
    }
  }
  return { relationships, faults };
}
