// The same on a real API server: pods created there, the process `espalier registration` started, and its entries waited for on our server; then changes of one
// pod each, from the API server's answer until the entry has followed. Everything shares this machine, so the figures are those of the whole.
import { join } from 'node:path';
import { EntryService, ListEntriesRequest_Filter } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { SelectorMatch, SelectorMatch_MatchBehavior } from '../../proto/gen/spire/api/types/selector.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import { createNamespace, createNode, createPod, deletePod } from '../peers/support/kubernetes-pods.ts';
import { startKubernetes } from '../peers/support/kubernetes.ts';
import type { Kubernetes } from '../peers/support/kubernetes.ts';
import {
  accountKubeconfig,
  applyRights,
  installDefinitions,
  startRegistration,
} from '../peers/support/registration.ts';
import type { Program } from '../peers/support/processes.ts';
import { createStage } from '../peers/support/stage.ts';
import { startServerProcess } from './server-under-load.ts';

export interface RegistrationClusterFigures {
  readonly pods: number;
  readonly startSeconds: { readonly best: number; readonly longest: number };
  readonly changeMs: { readonly median: number; readonly longest: number };
}

const namespaces = ['one', 'two', 'three', 'four'];
const atOnce = 16;
const changes = 10;
/** Each with no entry there; the best says what the others would be on a machine that did nothing else. */
const starts = 3;
const patienceMs = 120_000;

export async function measureRegistrationCluster(
  databaseUrl: string,
  pods: number,
): Promise<RegistrationClusterFigures> {
  const stage = createStage();
  const server = await startServerProcess(databaseUrl);
  const channel = connect({ unixPath: server.ready.socketPath });
  const entries = createClient(EntryService, channel);
  try {
    const kubernetes = stage.add(await startKubernetes(stage));
    await prepareCluster(kubernetes, pods);
    const path = join(stage.directory, 'registration.kubeconfig');
    const kubeconfig = await accountKubeconfig(kubernetes, {
      namespace: 'spire-server',
      account: 'registration',
      path,
    });
    // Cheap questions, asked often: a list of all entries would cost more than what is measured.
    const count = async (): Promise<number> => (await entries.countEntries({ filter: undefined })).count;
    const removeAll = async (): Promise<void> => {
      while ((await count()) > 0) {
        const page = await entries.listEntries({
          filter: undefined,
          outputMask: undefined,
          pageSize: 1_000,
          pageToken: '',
        });
        await entries.batchDeleteEntry({ ids: page.entries.map(({ id }) => id) });
      }
    };
    const has = async (uid: string): Promise<boolean> => {
      const selectors = [{ type: 'k8s', value: `pod-uid:${uid}` }];
      const bySelectors = SelectorMatch.create({ selectors, match: SelectorMatch_MatchBehavior.MATCH_EXACT });
      const filter = ListEntriesRequest_Filter.create({ bySelectors });
      const page = await entries.listEntries({ filter, outputMask: undefined, pageSize: 10, pageToken: '' });
      return page.entries.length > 0;
    };
    const begin = (): Program =>
      startRegistration(stage.directory, 'registration', {
        trustDomain: 'example.org',
        server: { socket: server.ready.socketPath },
        clusters: [{ name: 'production', mode: 'crds', kubeconfig }],
      });
    const startSeconds: number[] = [];
    let registration: Program | undefined;
    for (let start = 0; start < starts; start += 1) {
      await registration?.stop();
      await removeAll();
      const began = performance.now();
      const running = stage.add(begin());
      await until(async () => (await count()) === pods, running.checkRunning);
      startSeconds.push((performance.now() - began) / 1000);
      registration = running;
    }
    const checkRunning = (): void => registration?.checkRunning();
    const took: number[] = [];
    for (let change = 0; change < changes; change += 1) {
      const pod = { namespace: namespaces[0] ?? '', name: `change-${change}`, account: 'api', node: 'node-0' };
      const { uid } = await createPod(kubernetes, pod);
      const created = performance.now();
      await until(() => has(uid), checkRunning);
      took.push(performance.now() - created);
      await deletePod(kubernetes, pod.namespace, pod.name);
      const deleted = performance.now();
      await until(async () => !(await has(uid)), checkRunning);
      took.push(performance.now() - deleted);
    }
    took.sort((a, b) => a - b);
    const starting = { best: Math.min(...startSeconds), longest: Math.max(...startSeconds) };
    return {
      pods,
      startSeconds: starting,
      changeMs: { median: took[took.length >> 1] ?? 0, longest: took.at(-1) ?? 0 },
    };
  } finally {
    await stage.strike();
    channel.close();
    await server.close();
  }
}

async function prepareCluster(kubernetes: Kubernetes, count: number): Promise<void> {
  for (const name of namespaces) await createNamespace(kubernetes, name, ['api']);
  await createNamespace(kubernetes, 'spire-server', []);
  const nodes = Math.max(1, Math.ceil(count / 100));
  for (let node = 0; node < nodes; node += 1) await createNode(kubernetes, `node-${node}`);
  await installDefinitions(kubernetes);
  await applyRights(kubernetes, 'custom-resources/rights.yaml', 'spire-server');
  await kubernetes.administrator.call('POST', '/apis/spire.spiffe.io/v1alpha1/clusterspiffeids', {
    apiVersion: 'spire.spiffe.io/v1alpha1',
    kind: 'ClusterSPIFFEID',
    metadata: { name: 'all' },
    spec: {
      spiffeIDTemplate: 'spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}',
    },
  });
  let next = 0;
  const create = async (): Promise<void> => {
    for (let place = next++; place < count; place = next++) {
      const path = `/api/v1/namespaces/${namespaces[place % namespaces.length] ?? ''}/pods`;
      await kubernetes.administrator.call('POST', path, {
        metadata: { name: `pod-${place}`, labels: { app: 'api' } },
        spec: {
          nodeName: `node-${place % nodes}`,
          serviceAccountName: 'api',
          containers: [{ name: 'main', image: 'example.org/main:1' }],
        },
      });
      if (place % 1_000 === 0) process.stderr.write(`registration cluster: ${place} pods are there …\n`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, create));
}

async function until(holds: () => Promise<boolean>, checkRunning: () => void): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await holds())) {
    checkRunning();
    if (performance.now() > deadline) throw new Error(`not within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
