// Nodes for the API server of kubernetes.ts. Real are API server, etcd, controllers, the programs in the containers, and the kernel's namespaces and control
// groups. STAND-INS are scheduler, kubelet, container runtime, kube-proxy, load balancers, DNS and images (each file of this folder says how far it goes). Needs root.
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startControllers } from '../kubernetes-controllers.ts';
import type { Kubernetes } from '../kubernetes.ts';
import type { Ended } from '../processes.ts';
import { createControlGroups } from './control-groups.ts';
import { prepareImages } from './images.ts';
import { serviceRoutes } from './names.ts';
import { createLoadBalancer } from './load-balancer.ts';
import { createNetwork } from './network.ts';
import { startNode } from './node.ts';
import type { Route } from './relay.ts';
import type { EndpointSlice, List, Pod, Service } from './objects.ts';
import { createScheduler } from './scheduler.ts';

export interface Nodes {
  /** By namespace and name. */
  exec(namespace: string, pod: string, container: string, command: readonly string[]): Promise<Ended>;
  /** Where a pod that runs has a volume's files on this machine. */
  volumeDirectory(namespace: string, pod: string, volume: string): string;
  /** What the stand-ins did, and when. */
  log(): string;
  /** What the containers said that run now. */
  containerLogs(): string;
  stop(): Promise<void>;
}

export interface NodesOptions {
  readonly kubernetes: Kubernetes;
  readonly directory: string;
  readonly names?: readonly string[];
  /** Names outside the cluster, and what answers at their ports: a port of this machine's loopback, or another cluster's door. */
  readonly outside?: Readonly<Record<string, Readonly<Record<number, number | string>>>>;
  /** Ports of the first node that other clusters reach, by what `doorTo` says. */
  readonly doors?: readonly number[];
  /** `address:port` of this machine's loopback, such as a lab's instances, that answer pods there as they are; asked again and again. */
  readonly near?: () => readonly string[];
}

const nodesDirectory = (directory: string): string => join(directory, 'nodes');

/** A port of the nodes with that directory, as another cluster's `outside` names it, whichever is there first. */
export const doorTo = (directory: string, port: number): string =>
  `unix:${join(nodesDirectory(directory), `door-${port}.sock`)}`;

const periodMs = 400;
const apiServerPort = 443;

export async function startNodes({
  kubernetes,
  names = ['node-1'],
  outside = {},
  doors = [],
  near = () => [],
  ...options
}: NodesOptions): Promise<Nodes> {
  const images = await prepareImages();
  const directory = nodesDirectory(options.directory);
  mkdirSync(directory, { mode: 0o700 });
  const logPath = join(directory, 'stand-ins.log');
  const begun = Date.now();
  let log = '';
  const note = (text: string): void => {
    const line = `${((Date.now() - begun) / 1000).toFixed(1)} s ${text}\n`;
    log += line;
    appendFileSync(logPath, line, { mode: 0o600 });
  };
  note(
    'STAND-INS for scheduler, kubelet, container runtime, kube-proxy and DNS: the API server, its controllers and the containers’ programs are real',
  );

  const prefix = `espalier-k8s-${randomBytes(3).toString('hex')}`;
  const groups = createControlGroups(prefix);
  groups.make('relays');
  const network = createNetwork({ prefix, directory, kept: groups.entering('relays') });
  const controllers = await startControllers(kubernetes, { directory });
  const scheduler = createScheduler({
    ...{ administrator: kubernetes.administrator, nodes: names, claims: join(directory, 'claims') },
    scheduler: kubernetes.user('system:kube-scheduler'),
  });
  let apiServerAddress = '';
  let addresses = 0;
  const nodes = await Promise.all(
    names.map((name, at) =>
      startNode({
        ...{ kubernetes, name, network, groups, images, directory, note },
        address: `10.244.0.${at + 10}`,
        nextAddress: () => `10.244.${1 + Math.floor((addresses += 1) / 250)}.${(addresses % 250) + 1}`,
        claimDirectory: (namespace, claim) => scheduler.claimDirectory(namespace, claim),
        hosts: Object.keys(outside).map((host) => `${network.gateway} ${host}`),
        environment: () => ({
          KUBERNETES_SERVICE_HOST: apiServerAddress,
          KUBERNETES_SERVICE_PORT: String(apiServerPort),
        }),
      }),
    ),
  );
  const outer = await Promise.all(
    Object.values(outside)
      .flatMap((ports) => Object.entries(ports))
      .map(async ([port, at]) => ({
        listen: `${network.gateway}:${port}`,
        targets: [typeof at === 'string' ? at : await network.outside(at)],
      })),
  );
  const balancer = createLoadBalancer({ administrator: kubernetes.administrator, directory });
  const nearRoutes = (): Promise<Route[]> =>
    Promise.all(
      near().map(async (listen) => {
        const [host = '', port = ''] = listen.split(':');
        return { listen, targets: [await network.outside(Number(port), host)] };
      }),
    );
  const apiServer = await network.outside(Number(new URL(kubernetes.url).port));

  async function act(): Promise<void> {
    const read = async <T>(path: string): Promise<readonly T[]> =>
      (await kubernetes.administrator.call<List<T>>('GET', path)).items;
    const [pods, services, slices] = await Promise.all([
      read<Pod>('/api/v1/pods'),
      read<Service>('/api/v1/services'),
      read<EndpointSlice>('/apis/discovery.k8s.io/v1/endpointslices'),
    ]);
    const own = services.find(({ metadata }) => metadata.namespace === 'default' && metadata.name === 'kubernetes');
    if (own === undefined) return; // the API server makes it when it has begun
    apiServerAddress = own.spec.clusterIP ?? '';
    const others = services.filter((service) => service !== own);
    const known = { services: others, slices };
    network.answer(undefined, [
      ...serviceRoutes(known),
      ...(await balancer.act(others)),
      { listen: `${apiServerAddress}:${apiServerPort}`, targets: [apiServer] },
      ...outer,
      ...doors.map((port) => ({
        listen: doorTo(options.directory, port),
        targets: [`${nodes[0]?.address ?? ''}:${port}`],
      })),
    ]);
    const routes = await nearRoutes();
    for (const node of nodes) node.act(pods, known, routes);
    await scheduler.act(pods);
  }

  const over = new AbortController();
  const acted = (async () => {
    while (!over.signal.aborted) {
      await act().catch((error: unknown) => note((error as Error).message));
      await sleep(periodMs, undefined, { signal: over.signal }).catch(() => undefined); // the signal ends the loop
    }
  })();

  const lifeOf = (namespace: string, pod: string) => {
    const [life] = nodes.flatMap((node) => node.life(namespace, pod) ?? []);
    if (life === undefined) throw new Error(`no node has a pod ${namespace}/${pod}`);
    return life;
  };
  return {
    async exec(namespace, pod, name, command) {
      const container = lifeOf(namespace, pod).container(name);
      if (container === undefined) throw new Error(`container ${name} of ${namespace}/${pod} does not run`);
      return container.exec(command);
    },
    volumeDirectory: (namespace, pod, volume) => lifeOf(namespace, pod).volumeDirectory(volume),
    log: () => log,
    containerLogs: () => nodes.map((node) => node.logs()).join(''),
    async stop() {
      over.abort();
      await acted;
      await controllers.stop();
      await Promise.all(nodes.map((node) => node.stop()));
      await balancer.stop();
      await network.stop();
      await groups.stop();
    },
  };
}
