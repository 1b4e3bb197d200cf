// Ten thousand pods of one cluster on the server: from the first round until all entries stand, and from a change of one pod until its entry has followed.
// The server is a process of its own on PostgreSQL, asked over its socket; the cluster's objects are played by this process, as a complete list and changes.
import { randomUUID } from 'node:crypto';
import { createRegistrationServer } from '../../activities/clients/registration-server.ts';
import type {
  CustomResource,
  KubernetesObject,
  Pod,
} from '../../activities/registration/objects/kubernetes-objects.ts';
import { defaultParentIdTemplate } from '../../activities/registration/custom-resources/render-pod-entry.ts';
import { sampleNodeData } from '../../activities/registration/custom-resources/template-data.ts';
import { createOwnership } from '../../activities/registration/entries/ownership.ts';
import { createReconciler } from '../../activities/registration/reconcile/reconciler.ts';
import type { ClusterApi } from '../../activities/registration/sources/cluster-api.ts';
import { createResourceSource } from '../../activities/registration/sources/resource-source.ts';
import { parseTemplate } from '../../activities/registration/template/template.ts';
import { connect } from '../../runtime/rpc/client.ts';
import { startServerProcess } from './server-under-load.ts';

export interface RegistrationFigures {
  readonly pods: number;
  readonly startSeconds: number;
  readonly changeMs: { readonly median: number; readonly longest: number };
  /** Of a round that lists the server's entries anew and finds nothing to do. */
  readonly relistMs: number;
  readonly rssMb: number;
}

const podsOnNode = 50;
const changes = 40;

export async function measureRegistration(databaseUrl: string, count: number): Promise<RegistrationFigures> {
  const server = await startServerProcess(databaseUrl);
  const registration = createRegistrationServer(() => connect({ unixPath: server.ready.socketPath }), Date.now);
  try {
    const cluster = createPlayedCluster(count);
    const world = { now: 0 };
    const reconciler = createReconciler({
      server: registration,
      clusters: [sourceOf(cluster.api)],
      ledger: { read: async () => ({}), write: async () => undefined },
      ownerOf: createOwnership({ entryIdPrefix: 'bench', trustDomain: 'example.org', clusters: [{ name: 'bench' }] }),
      entryIdPrefix: 'bench',
      takesOver: false,
      guard: { share: 0.5, always: 10, accepted: new Set() },
      dryRun: false,
      relistMs: 30_000,
      clock: () => world.now,
      createUuid: randomUUID,
      say: (level, message, fields) =>
        level === 'error' && process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
    });
    const timed = async (expected: object): Promise<number> => {
      const began = performance.now();
      const { applied } = await reconciler.round();
      const took = performance.now() - began;
      for (const [name, value] of Object.entries(expected))
        if (applied[name as 'created'] !== value)
          throw new Error(`${name} is ${applied[name as 'created']}, want ${String(value)}`);
      return took;
    };
    const startMs = await timed({ created: count, updated: 0, removed: 0 });
    const took: number[] = [];
    for (let change = 0; change < changes / 2; change += 1) {
      cluster.replacePod(change * 7);
      took.push(await timed({ created: 1, updated: 0, removed: 1 }));
      cluster.relabelPod(change * 11 + 1);
      took.push(await timed({ created: 0, updated: 1, removed: 0 }));
    }
    world.now += 30_000;
    const relistMs = await timed({ created: 0, updated: 0, removed: 0 });
    took.sort((a, b) => a - b);
    return {
      pods: count,
      startSeconds: startMs / 1000,
      changeMs: { median: took[took.length >> 1] ?? 0, longest: took.at(-1) ?? 0 },
      relistMs,
      rssMb: process.memoryUsage.rss() / 1024 / 1024,
    };
  } finally {
    registration.close();
    await server.close();
  }
}

function sourceOf(api: ClusterApi) {
  return createResourceSource({
    api,
    rules: {
      trustDomain: 'example.org',
      clusterName: 'bench',
      clusterDomain: 'cluster.local',
      className: '',
      watchClassless: false,
      ignoreNamespaces: [],
      parentIdTemplate: parseTemplate(defaultParentIdTemplate, sampleNodeData),
    },
    onChange: () => undefined,
  });
}

function createPlayedCluster(count: number) {
  const lists = new Map<string, KubernetesObject[]>();
  const pods: Pod[] = Array.from({ length: count }, (_, place) => podOf(place, ''));
  const resource: CustomResource = {
    metadata: { name: 'all', uid: 'all', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      spiffeIDTemplate: 'spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}',
      dnsNameTemplates: ['{{ .PodMeta.Labels.app }}.{{ .PodMeta.Namespace }}.svc'],
      podSelector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] },
      autoPopulateDNSNames: true,
    },
  };
  lists.set('pods', pods);
  lists.set('clusterspiffeids', [resource]);
  const names = (length: number, prefix: string) =>
    Array.from({ length }, (_, place) => ({ metadata: { name: `${prefix}-${place}`, uid: `${prefix}-${place}` } }));
  lists.set('namespaces', names(20, 'namespace'));
  lists.set('nodes', names(Math.ceil(count / podsOnNode), 'node'));
  const api: ClusterApi = {
    watch: ({ plural }) => ({ objects: () => (lists.get(plural) ?? []) as never }),
    writeStatus: async (_, __, status) => {
      lists.set('clusterspiffeids', [Object.assign(resource, { status })]); // one object all the time, as what it asks for is the same
    },
  };
  return {
    api,
    replacePod: (place: number) => void (pods[place] = podOf(place, `again-${randomUUID()}`)),
    relabelPod: (place: number) => void (pods[place] = podOf(place, '', `app-${randomUUID().slice(0, 8)}`)),
  };
}

function podOf(place: number, generation: string, app = `app-${place % 100}`): Pod {
  return {
    metadata: {
      name: `pod-${place}`,
      namespace: `namespace-${place % 20}`,
      uid: `00000000-0000-4000-8000-${String(place).padStart(12, '0')}${generation}`,
      labels: { app, 'pod-template-hash': 'abc' },
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      nodeName: `node-${Math.floor(place / podsOnNode)}`,
      serviceAccountName: `account-${place % 40}`,
      containers: [{ name: 'main', image: 'example.org/main:1' }],
    },
  };
}
