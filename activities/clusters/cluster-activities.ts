// The activities of the queue `kubernetes`: idempotent acts on a cluster's own API server, and gates that read what it says.
import { randomBytes } from 'node:crypto';
import type { KubernetesApi } from '../clients/kubernetes/kubernetes-api.ts';
import { failure, reasonOf } from '../failures.ts';
import { waitUntil } from '../poll.ts';
import { agentObjects } from './agent-objects.ts';
import { applyObjects, ask, ensureSecret } from './apply.ts';
import type { AtCluster, ClusterActivities, FoundCluster, InCluster } from './cluster.ts';
import { agentNamespace, serverNamespace } from './cluster.ts';
import { nameOf, nodeKind, placeOf } from './kinds.ts';
import { labelsOf, ownerOf } from './labels.ts';
import { checkRunning, isReady } from './readiness.ts';
import type { Pod, PodSet } from './readiness.ts';
import { readCluster } from './read-cluster.ts';
import { findLabelled, removeServersStep, removeStep } from './remove-cluster.ts';
import { serverAddress } from './server-address.ts';
import { ensureServerNodes } from './server-nodes.ts';
import { databaseSecret, serverObjects } from './server-objects.ts';

export interface ClusterActivitiesOptions {
  /** Throws InvalidRequest where this worker has no way to it. */
  readonly api: (context: string | undefined) => KubernetesApi;
  /** All that this worker has a way to; an absent one is the cluster that it runs in. */
  readonly contexts: () => Promise<readonly (string | undefined)[]>;
  readonly clock: () => number;
}

export function createClusterActivities({ api: apiOf, contexts, clock }: ClusterActivitiesOptions): ClusterActivities {
  const apiIn = ({ cluster }: AtCluster): KubernetesApi => apiOf(cluster.context);

  /** The pods of it that run, once all do. */
  async function running(input: InCluster, kind: PodSet['kind'], namespace: string, name: string): Promise<Pod[]> {
    const api = apiIn(input);
    const what = nameOf(kind, { namespace, name });
    const found = await ask(input, what, () => api.find<PodSet>(placeOf(kind, namespace), name));
    const selector = found?.spec?.selector?.matchLabels ?? {};
    const pods = await ask(input, `pods of ${what}`, () => api.list<Pod>(placeOf('Pod', namespace), selector));
    checkRunning(found, what, pods);
    return pods.filter(isReady);
  }

  return {
    async listClusterResources(input) {
      const found = await findLabelled(apiIn(input), input, labelsOf(input));
      return found.map(({ kind, object }) => ({
        kind,
        name: nameOf('', object.metadata).trim(),
        owner: ownerOf(object),
      }));
    },

    ensureClusterServerNodes: (input) => ensureServerNodes(apiIn(input), input, clock),

    async ensureClusterServer(input) {
      const api = apiIn(input);
      const secret = { namespace: serverNamespace, name: databaseSecret };
      await ensureSecret(api, input, secret, () => Promise.resolve({ password: randomBytes(32).toString('hex') }));
      // What the server may ask about its agents is in their namespace, and is there before the server is.
      const rights = agentObjects(input.plan, input.cluster).filter(({ kind }) => kind !== 'DaemonSet');
      await applyObjects(api, input, [...rights, ...serverObjects(input)]);
    },

    waitForClusterServer: (input) =>
      waitUntil(`the server of cluster ${input.cluster.name}`, async () => {
        await running(input, 'StatefulSet', serverNamespace, 'spire-db');
        await running(input, 'StatefulSet', serverNamespace, 'spire-server');
        const { cluster } = input;
        return Promise.all(
          cluster.servers.map(async (name) => ({
            name,
            address: await ask(input, `address of ${name}`, () => serverAddress(apiIn(input), cluster, name)),
          })),
        );
      }),

    ensureClusterAgents: (input) => applyObjects(apiIn(input), input, agentObjects(input.plan, input.cluster)),

    waitForClusterAgents: (input) =>
      waitUntil(`the agents of cluster ${input.cluster.name}`, async () => {
        const { trustDomain, cluster } = input;
        const pods = await running(input, 'DaemonSet', agentNamespace, 'spire-agent');
        const known = await ask(input, 'list of nodes', () => apiIn(input).list(nodeKind));
        const uids = new Map(known.map(({ metadata }) => [metadata.name, metadata.uid]));
        return pods
          .map(({ spec }) => {
            const name = spec?.nodeName ?? '';
            const uid = uids.get(name);
            if (uid === undefined) throw failure('NotReady', `node ${name} of cluster ${cluster.name} is gone`);
            return { name, agentId: `spiffe://${trustDomain}/spire/agent/k8s_psat/${cluster.name}/${uid}` };
          })
          .toSorted((a, b) => (a.name < b.name ? -1 : 1));
      }),

    readClusterSettings: () => Promise.resolve(null),

    readCluster: (input) => readCluster(apiIn(input), input),

    async findClusters({ trustDomain, beside }) {
      const others = (await contexts()).filter((context) => !beside.some((one) => one.context === context));
      const found: FoundCluster[] = [];
      const silent: string[] = [];
      await Promise.all(
        others.map(async (context) => {
          const name = context ?? 'the cluster of the worker';
          try {
            const cluster = { name, ...(context === undefined ? {} : { context }) };
            const one = await readCluster(apiOf(context), { trustDomain, cluster });
            if (one !== null) found.push(one);
          } catch (cause) {
            silent.push(`${name}: ${reasonOf(cause)}`); // whether it matters the upstream says: it knows of what is missing
          }
        }),
      );
      const order = ({ context = '' }: FoundCluster): string => context;
      return { found: found.toSorted((a, b) => order(a).localeCompare(order(b))), silent: silent.toSorted() };
    },

    removeClusterServers: (input) =>
      waitUntil(
        `servers of cluster ${input.cluster.name} to be gone`,
        () => removeServersStep(apiIn(input), input),
        1_000,
      ),

    removeCluster: (input) =>
      waitUntil(`cluster ${input.cluster.name} to be cleared`, () => removeStep(apiIn(input), input), 1_000),
  };
}
