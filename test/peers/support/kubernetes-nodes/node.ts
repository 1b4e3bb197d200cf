// A STAND-IN for the kubelet of one node: it registers the node, lives the pods that are bound to it, tells of them, ends those that are deleted, and answers
// `/pods`. To the API server it is the node, with the rights of the Node authorizer and no others.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Kubernetes } from '../kubernetes.ts';
import { KubernetesRefusal } from '../kubernetes.ts';
import type { ControlGroups } from './control-groups.ts';
import type { Environment } from './environment.ts';
import type { Image } from './images.ts';
import { kubeletPort, serveKubeletApi } from './kubelet-api.ts';
import { hostLines, nodePortRoutes } from './names.ts';
import type { Services } from './names.ts';
import type { Network } from './network.ts';
import type { Pod } from './objects.ts';
import { podPath } from './objects.ts';
import type { Route } from './relay.ts';
import { livePod } from './pod-life.ts';
import type { PodLife } from './pod-life.ts';

export interface Node {
  readonly name: string;
  readonly address: string;
  life(namespace: string, pod: string): PodLife | undefined;
  logs(): string;
  /** What is to be done now, with all pods there are. */
  act(pods: readonly Pod[], services: Services, near: readonly Route[]): void;
  stop(): Promise<void>;
}

export interface NodeOptions {
  readonly kubernetes: Kubernetes;
  readonly name: string;
  readonly address: string;
  readonly network: Network;
  readonly groups: ControlGroups;
  readonly images: ReadonlyMap<string, Image>;
  readonly directory: string;
  readonly nextAddress: () => string;
  readonly claimDirectory: (namespace: string, claim: string) => Promise<string>;
  readonly environment: () => Environment;
  /** More lines for every /etc/hosts. */
  readonly hosts: readonly string[];
  readonly note: (text: string) => void;
}

interface Living {
  readonly life: PodLife;
  readonly link: string | undefined;
  ending?: Promise<void>;
}

export async function startNode(options: NodeOptions): Promise<Node> {
  const { kubernetes, name, address, network, groups, images, hosts, note } = options;
  const directory = join(options.directory, name);
  const nodeRoot = join(directory, 'root');
  mkdirSync(nodeRoot, { recursive: true });
  const api = kubernetes.user(`system:node:${name}`, 'system:nodes');
  const enteringNode = network.attach(name, address);
  const living = new Map<string, Living>();
  let links = 0;

  const socketPath = join(directory, 'kubelet.sock');
  const pods = () => [...living.values()].map(({ life }) => life.pod());
  const closeApi = await serveKubeletApi({ api, node: name, socketPath, pods });
  await register(options, api);

  function begin(pod: Pod): Living {
    const isOnNode = pod.spec.hostNetwork === true;
    const link = isOnNode ? undefined : `${name}-${(links += 1)}`;
    const ownAddress = isOnNode ? address : options.nextAddress();
    note(`pod ${pod.metadata.namespace}/${pod.metadata.name} begins on ${name} at ${ownAddress}`);
    const life = livePod({
      ...{ pod, api, images, groups, nodeRoot, enteringNode, note, address: ownAddress, nodeAddress: address },
      entering: link === undefined ? enteringNode : network.attach(link, ownAddress),
      directory: join(directory, 'pods', pod.metadata.uid),
      claimDirectory: options.claimDirectory,
      environment: options.environment,
    });
    return { life, link };
  }

  async function end({ life, link }: Living, graceMs: number): Promise<void> {
    const { metadata } = life.pod();
    await life.end(graceMs);
    if (link !== undefined) network.detach(link);
    rmSync(join(directory, 'pods', metadata.uid), { recursive: true, force: true });
    living.delete(metadata.uid);
    // By its UID: another may have its name already.
    const body = { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } };
    await api.call('DELETE', podPath({ metadata }), body).catch((error: unknown) => {
      const isGone = error instanceof KubernetesRefusal && [404, 409].includes(error.status);
      if (!isGone) note(`pod ${metadata.namespace}/${metadata.name}: ${(error as Error).message}`);
    });
    note(`pod ${metadata.namespace}/${metadata.name} is gone`);
  }

  return {
    name,
    address,
    life: (namespace, pod) => {
      const lives = [...living.values()].map(({ life }) => life);
      return lives.find((life) => life.pod().metadata.namespace === namespace && life.pod().metadata.name === pod);
    },
    logs: () => [...living.values()].map(({ life }) => life.logs()).join(''),
    act(all, services, near) {
      const here = all.filter(({ spec }) => spec.nodeName === name);
      for (const pod of here)
        if (!living.has(pod.metadata.uid) && pod.metadata.deletionTimestamp === undefined)
          living.set(pod.metadata.uid, begin(pod));
      for (const [uid, one] of living) {
        const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = here.find(({ metadata }) => metadata.uid === uid)
          ?.metadata ?? { deletionTimestamp: 'gone' };
        if (deletionTimestamp !== undefined) one.ending ??= end(one, deletionGracePeriodSeconds * 1000);
        const lines = ['127.0.0.1 localhost', ...hosts, ...hostLines(services, one.life.pod().metadata.namespace)];
        if (one.ending === undefined) one.life.names(`${lines.join('\n')}\n`);
        if (one.ending === undefined && one.link !== undefined && near.length > 0) network.near(one.link, near);
      }
      const kubelet = { listen: `127.0.0.1:${kubeletPort}`, targets: [`unix:${socketPath}`] };
      network.answer(name, [kubelet, ...nodePortRoutes(services, address)]);
    },
    async stop() {
      await Promise.all([...living.values()].map(({ life, ending }) => ending ?? life.end(0)));
      closeApi();
    },
  };
}

async function register({ name, address }: NodeOptions, api: ReturnType<Kubernetes['user']>): Promise<void> {
  const resources = { cpu: '2', memory: '4Gi', pods: '110' };
  const now = new Date().toISOString();
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'espalier.io/stand-in': 'kubelet' };
  await api.call('POST', '/api/v1/nodes', { metadata: { name, labels } });
  const status = {
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: 'InternalIP', address },
      { type: 'Hostname', address: name },
    ],
    conditions: [
      { type: 'Ready', status: 'True', reason: 'KubeletStandIn', message: 'a stand-in for the kubelet is posting ready status', lastHeartbeatTime: now, lastTransitionTime: now }, // prettier-ignore
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
  };
  const contentType = 'application/merge-patch+json';
  await api.call('PATCH', `/api/v1/nodes/${name}/status`, { status }, { contentType });
}
