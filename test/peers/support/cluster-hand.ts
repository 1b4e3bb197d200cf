// A test as the scheduler and the kubelet of a cluster that has neither: it places pods, says how they are, and lets go of those that are deleted.
import { namedNodes } from './kubernetes-nodes/objects.ts';
import type { Pod } from './kubernetes-nodes/objects.ts';
import type { Kubernetes } from './kubernetes.ts';
import { eventually } from './processes.ts';

export interface ClusterHand {
  createNode(name: string, address: string): Promise<void>;
  place(namespace: string, pod: string, node: string): Promise<void>;
  /** Placed first where it is on no node yet. */
  ready(namespace: string, pod: string, node?: string): Promise<void>;
  waiting(namespace: string, pod: string, node: string, reason: string): Promise<void>;
  pods(namespace: string): Promise<string[]>;
  /** Of a DaemonSet: each is made for one node, and its controller takes away what is on another. */
  podsByNode(namespace: string): Promise<ReadonlyMap<string, string>>;
  names(path: string): Promise<string[]>;
  uids(path: string): Promise<ReadonlyMap<string, string>>;
  secret(namespace: string, name: string, key: string): Promise<string>;
  secretKeys(namespace: string, name: string): Promise<string[]>;
  /** Of pods that are deleted, as long as something else goes on. */
  letGo(namespaces: readonly string[], during: Promise<unknown>): Promise<void>;
  until(what: string, holds: () => unknown): Promise<void>;
}

interface Listed {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
    readonly spec?: { readonly nodeName?: string; readonly affinity?: Pod['spec']['affinity'] | undefined };
  }[];
}

const merge = { contentType: 'application/merge-patch+json' };
const since = '2026-01-01T00:00:00Z';

export function createClusterHand({ administrator }: Kubernetes): ClusterHand {
  const podPath = (namespace: string, pod = ''): string => `/api/v1/namespaces/${namespace}/pods/${pod}`;
  const items = async (path: string) => (await administrator.call<Listed>('GET', path)).items;

  async function place(namespace: string, pod: string, node: string): Promise<void> {
    const found = await administrator.call<Listed['items'][number]>('GET', podPath(namespace, pod));
    if (found.spec?.nodeName !== undefined) return;
    const target = { apiVersion: 'v1', kind: 'Node', name: node };
    await administrator.call('POST', `${podPath(namespace, pod)}/binding`, { metadata: { name: pod }, target });
  }

  async function tell(namespace: string, pod: string, status: object): Promise<void> {
    await administrator.call('PATCH', `${podPath(namespace, pod)}/status`, { status }, merge);
  }

  const hand: ClusterHand = {
    async createNode(name, address) {
      await administrator.call('POST', '/api/v1/nodes', { metadata: { name } });
      const status = {
        addresses: [{ type: 'InternalIP', address }],
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: since, lastHeartbeatTime: since }],
      };
      await administrator.call('PATCH', `/api/v1/nodes/${name}/status`, { status }, merge);
    },
    place,
    async ready(namespace, pod, node) {
      if (node !== undefined) await place(namespace, pod, node);
      const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: since }];
      await tell(namespace, pod, { phase: 'Running', conditions, containerStatuses: [] });
    },
    async waiting(namespace, pod, node, reason) {
      await place(namespace, pod, node);
      const container = { image: 'a', imageID: '', restartCount: 0, ready: false, name: 'spire-server' };
      await tell(namespace, pod, {
        phase: 'Pending',
        conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady', lastTransitionTime: since }],
        containerStatuses: [{ ...container, state: { waiting: { reason } } }],
      });
    },
    pods: async (namespace) => hand.names(podPath(namespace)),
    podsByNode: async (namespace) =>
      new Map(
        (await items(podPath(namespace))).map(({ metadata, spec }) => [
          namedNodes(spec ?? {})?.[0] ?? '',
          metadata.name,
        ]),
      ),
    names: async (path) => (await items(path)).map(({ metadata }) => metadata.name),
    uids: async (path) => new Map((await items(path)).map(({ metadata }) => [metadata.name, metadata.uid])),
    async secret(namespace, name, key) {
      const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
      const { data } = await administrator.call<{ data: Record<string, string> }>('GET', path);
      return Buffer.from(data[key] ?? '', 'base64').toString('utf8');
    },
    async secretKeys(namespace, name) {
      const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
      return Object.keys((await administrator.call<{ data: object }>('GET', path)).data).toSorted();
    },
    async letGo(namespaces, during) {
      const ended = new AbortController();
      const over = (): void => ended.abort();
      void during.then(over, over);
      while (!ended.signal.aborted) {
        for (const namespace of namespaces)
          for (const { metadata } of await items(podPath(namespace)))
            if (metadata.deletionTimestamp !== undefined)
              await administrator
                .call('DELETE', `${podPath(namespace, metadata.name)}?gracePeriodSeconds=0`)
                .catch(() => undefined); // gone meanwhile
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    async until(what, holds) {
      await eventually(what, async () => holds(), 60_000);
    },
  };
  return hand;
}
