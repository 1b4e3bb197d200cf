// A deployment of deploy/kubernetes in a cluster with nodes: what kubectl does there, what its pods are, and go-spiffe within them.
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Called } from './go-mtls.ts';
import { startNodes } from './kubernetes-nodes/nodes.ts';
import type { Nodes, NodesOptions } from './kubernetes-nodes/nodes.ts';
import { isReady } from './kubernetes-nodes/objects.ts';
import type { List, Pod } from './kubernetes-nodes/objects.ts';
import { startKubernetes } from './kubernetes.ts';
import type { Kubernetes } from './kubernetes.ts';
import { callFromPod } from './pod-workloads.ts';
import { eventually, output } from './processes.ts';
import { prepareGoWorkload, root } from './programs.ts';
import { installDefinitions } from './registration.ts';
import type { Stage } from './stage.ts';

export interface Deployed {
  readonly kubernetes: Kubernetes;
  readonly directory: string;
  kubectl(...words: readonly string[]): Promise<string>;
  /** An overlay of deploy/kubernetes, as its README says: the Secrets of databases first. */
  apply(overlay: string, databaseNamespaces: readonly string[]): Promise<void>;
  startNodes(options?: Pick<NodesOptions, 'names' | 'outside' | 'doors'>): Promise<Nodes>;
  /** All pods of that name, and none that is on its way out. */
  podsOf(namespace: string, name: string): Promise<readonly Pod[]>;
  /** Resolves when so many pods are there and ready, and says when it was. */
  ready(namespace: string, name: string, count?: number): Promise<readonly Pod[]>;
  exec: Nodes['exec'];
  /** A command of bin/spire-server in the pod of a server, whose answer is JSON. */
  operate<T>(namespace: string, pod: string, ...command: readonly string[]): Promise<T>;
  /** go-spiffe in that pod, with the identity that the pod has. */
  call(pod: Pod, address: string, expectedId: string): Promise<Called>;
}

/** A Service leads to a pod a moment after it is ready, here as anywhere. */
const servicesFollowMs = 2_000;

export interface DeployedOptions {
  readonly stage: Stage;
  /** Where one test has several. */
  readonly name: string;
  readonly patienceMs: number;
}

export async function startDeployed({ stage, name, patienceMs }: DeployedOptions): Promise<Deployed> {
  await prepareGoWorkload();
  const directory = join(stage.directory, name);
  mkdirSync(directory);
  const kubernetes = stage.add(await startKubernetes({ directory }));
  const began = Date.now();
  let nodes: Nodes | undefined;
  const running = (): Nodes => {
    if (nodes === undefined) throw new Error(`${name} has no nodes yet`);
    return nodes;
  };
  const kubectl = (...words: readonly string[]): Promise<string> =>
    output('kubectl', ['--kubeconfig', kubernetes.administrator.kubeconfig, ...words], { timeoutMs: patienceMs });

  async function podsOf(namespace: string, of: string): Promise<readonly Pod[]> {
    const selector = encodeURIComponent(`app.kubernetes.io/name=${of}`);
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`;
    const { items } = await kubernetes.administrator.call<List<Pod>>('GET', path);
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  return {
    kubernetes,
    directory,
    kubectl,
    async apply(overlay, databaseNamespaces) {
      for (const namespace of databaseNamespaces) {
        const file = join(directory, `${namespace}.password`);
        writeFileSync(file, `password=${randomBytes(32).toString('hex')}`, { mode: 0o600 });
        await kubectl('create', 'namespace', namespace);
        await kubectl('-n', namespace, 'create', 'secret', 'generic', 'spire-database', `--from-env-file=${file}`);
      }
      await kubectl('apply', '--server-side', '-k', join(root, 'deploy/kubernetes', overlay));
    },
    async startNodes(options = {}) {
      return (nodes = stage.add(await startNodes({ kubernetes, directory, ...options })));
    },
    podsOf,
    async ready(namespace, of, count = 1) {
      const attempt = async (): Promise<readonly Pod[]> => {
        const pods = await podsOf(namespace, of);
        if (pods.length === count && pods.every(({ status }) => isReady(status))) return pods;
        throw new Error(JSON.stringify(pods.map(({ status }) => status)));
      };
      const pods = await eventually(`${namespace}/${of} is ready`, attempt, patienceMs).catch((error: unknown) => {
        throw new Error(`${(error as Error).message}\n${running().log()}\n${running().containerLogs()}`);
      });
      console.log(`${name}: ${namespace}/${of} ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);
      await sleep(servicesFollowMs);
      return pods;
    },
    exec: (...words) => running().exec(...words),
    async operate<T>(namespace: string, pod: string, ...command: readonly string[]) {
      const words = ['/opt/espalier/bin/spire-server', ...command];
      const common = ['-socketPath', '/run/spire/sockets/server.sock', '-output', 'json'];
      const ended = await running().exec(namespace, pod, 'spire-server', [...words, ...common]);
      if (ended.code !== 0) throw new Error(ended.stderr);
      return JSON.parse(ended.stdout) as T;
    },
    call: ({ metadata: { namespace, name }, spec: { containers } }, address, expectedId) =>
      callFromPod(running(), { namespace, name, container: containers[0]?.name ?? '' }, address, expectedId),
  };
}

/** The two clusters of an enterprise deployment, with the definitions of its resources. */
export async function startTiers(
  options: Omit<DeployedOptions, 'name'>,
): Promise<{ readonly upstream: Deployed; readonly downstream: Deployed }> {
  const start = async (name: string): Promise<Deployed> => {
    const deployed = await startDeployed({ ...options, name });
    await installDefinitions(deployed.kubernetes);
    return deployed;
  };
  const [upstream, downstream] = await Promise.all([start('upstream'), start('downstream')]);
  return { upstream, downstream };
}

/** Where one pod is expected. */
export function only(pods: readonly Pod[]): Pod {
  const [pod, ...others] = pods;
  if (pod === undefined || others.length > 0) throw new Error(`${pods.length} pods and not one`);
  return pod;
}
