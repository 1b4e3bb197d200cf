// A cluster without custom resources: the pods and service accounts of some namespaces, each with rights of its own. Nothing of the cluster as a whole is read.
import { createObjectRenderer } from '../objects/render-objects.ts';
import type { ObjectRules } from '../objects/render-objects.ts';
import type { Pod, ServiceAccount } from '../objects/kubernetes-objects.ts';
import type { ClusterSource } from '../reconcile/ports.ts';
import { kinds } from './cluster-api.ts';
import type { ClusterApi } from './cluster-api.ts';

export interface ObjectSourceOptions {
  readonly api: ClusterApi;
  readonly rules: ObjectRules;
  readonly onChange: () => void;
}

export function createObjectSource({ api, rules, onChange }: ObjectSourceOptions): ClusterSource {
  const render = createObjectRenderer(rules);
  const watched = rules.namespaces.map(({ namespace }) => ({
    pods: api.watch<Pod>(kinds.podsOf(namespace), onChange),
    serviceAccounts: api.watch<ServiceAccount>(kinds.serviceAccountsOf(namespace), onChange),
  }));

  return {
    name: rules.clusterName,
    federates: false,
    view() {
      const pods: Pod[] = [];
      const serviceAccounts: ServiceAccount[] = [];
      for (const one of watched) {
        const [its, accounts] = [one.pods.objects(), one.serviceAccounts.objects()];
        if (its === undefined || accounts === undefined) return undefined;
        pods.push(...its);
        serviceAccounts.push(...accounts);
      }
      return { ...render({ pods, serviceAccounts }), relationships: [], resources: [] };
    },
    writeStatuses: async () => undefined,
  };
}
