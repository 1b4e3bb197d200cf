// One pod on a node, from its volumes to the end of its last container: init containers one after the other, then all others, each started again as the pod's policy
// says and with the kubelet's growing pauses.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubernetesUser } from '../kubernetes.ts';
import { startContainer } from './container.ts';
import type { Container } from './container.ts';
import type { Mount } from './container-root.ts';
import type { ControlGroups } from './control-groups.ts';
import { environmentOf, NotYet } from './environment.ts';
import type { Environment } from './environment.ts';
import type { Image } from './images.ts';
import type { ContainerSpec, Pod } from './objects.ts';
import { isReady, podPath } from './objects.ts';
import { podStatus } from './pod-status.ts';
import type { Turn } from './pod-status.ts';
import { watchProbes } from './probes.ts';
import { prepareVolumes } from './volumes.ts';

export interface PodLife {
  /** As the node knows it. */
  pod(): Pod;
  container(name: string): Container | undefined;
  /** On this machine. */
  volumeDirectory(name: string): string;
  /** With its containers' names. */
  logs(): string;
  /** The text of its /etc/hosts. */
  names(text: string): void;
  /** Of its containers and of what it has on the node. */
  end(graceMs: number): Promise<void>;
}

export interface PodLifeOptions {
  readonly pod: Pod;
  /** As the node. */
  readonly api: KubernetesUser;
  readonly images: ReadonlyMap<string, Image>;
  readonly groups: ControlGroups;
  readonly directory: string;
  readonly nodeRoot: string;
  readonly nodeAddress: string;
  readonly enteringNode: readonly string[];
  /** Its own address, and words that enter its network; the node's where it says hostNetwork. */
  readonly address: string;
  readonly entering: readonly string[];
  readonly claimDirectory: (namespace: string, claim: string) => Promise<string>;
  /** What every container is told. */
  readonly environment: () => Environment;
  readonly note: (text: string) => void;
}

const retryMs = 1_000;
const firstPauseMs = 10_000;
const longestPauseMs = 300_000;
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function livePod(options: PodLifeOptions): PodLife {
  const { api, images, groups, directory, nodeRoot, nodeAddress, address, entering, enteringNode, note } = options;
  const { metadata, spec } = options.pod;
  const title = `${metadata.namespace}/${metadata.name}`;
  const over = new AbortController();
  const { signal } = over;
  const startTime = new Date();
  const hosts = join(directory, 'hosts');
  mkdirSync(directory, { recursive: true });
  writeFileSync(hosts, '');
  const group = `kubepods/burstable/pod${metadata.uid}`;
  groups.make(group);

  const turn = (isInit: boolean) => (one: ContainerSpec): Turn => ({
    ...{ spec: one, isInit, imageId: images.get(one.image)?.id ?? '' },
    ...{ container: undefined, started: false, ready: false, restarts: 0, waiting: undefined, ended: undefined },
  }); // prettier-ignore
  const inits = (spec.initContainers ?? []).map(turn(true));
  const mains = spec.containers.map(turn(false));
  const all = [...inits, ...mains];
  const logPaths = new Map<string, string>();

  let pod = options.pod;
  let known: ReadonlyMap<string, string> = new Map();
  let telling = Promise.resolve();
  /** In turn, so that the last is what is known; what the API server does not take, it is told again with the next. */
  function tell(): void {
    const before = pod.status;
    pod = { ...pod, status: podStatus(pod, all, { hostAddress: nodeAddress, address, startTime }) };
    const { status } = pod;
    if (isReady(before) !== isReady(status)) note(`pod ${title} is ${isReady(status) ? '' : 'not '}ready`);
    const contentType = 'application/merge-patch+json';
    telling = telling.then(async () => {
      await api.call('PATCH', `${podPath(pod)}/status`, { status }, { contentType }).catch((error: unknown) => {
        if (!signal.aborted) note(`status of ${title}: ${(error as Error).message}`);
      });
    });
  }

  async function untilThere<T>(turns: readonly Turn[], attempt: () => Promise<T>): Promise<T | undefined> {
    while (!signal.aborted) {
      try {
        return await attempt();
      } catch (error) {
        const reason = error instanceof NotYet ? error.reason : 'ContainerCreating';
        const { message } = error as Error;
        if (turns.some((one) => one.waiting?.message !== message)) {
          for (const one of turns) one.waiting = { reason, message };
          note(`pod ${title} waits: ${message}`);
          tell();
        }
      }
      await sleep(retryMs, undefined, { signal }).catch(() => undefined); // the signal ends the loop
    }
    return undefined;
  }

  async function start(one: Turn, volumes: ReadonlyMap<string, string>): Promise<Container> {
    const image = images.get(one.spec.image);
    if (image === undefined) throw new NotYet('ErrImagePull', `nothing stands in for the image ${one.spec.image}`);
    const told = {
      PATH: usualPath,
      HOME: '/',
      HOSTNAME: metadata.name,
      ...options.environment(),
      ...image.environment,
    };
    const environment = await environmentOf(api, pod, one.spec, told);
    const own = join(directory, one.spec.name);
    mkdirSync(own, { recursive: true });
    const mounts = [{ source: hosts, path: '/etc/hosts', isReadOnly: true }, ...mountsOf(one.spec, volumes)];
    return startContainer({ pod, spec: one.spec, image, environment, mounts, groups, group, entering, directory: own });
  }

  /** Once, to its exit code; undefined where the pod is over. */
  async function runOnce(one: Turn, volumes: ReadonlyMap<string, string>): Promise<number | undefined> {
    const container = await untilThere([one], () => start(one, volumes));
    if (container === undefined) return undefined;
    if (signal.aborted) await container.stop(0);
    Object.assign(one, { container, waiting: undefined, started: false, ready: false } satisfies Partial<Turn>);
    logPaths.set(one.spec.name, container.logPath);
    tell();
    const probing = new AbortController();
    const graceMs = (spec.terminationGracePeriodSeconds ?? 30) * 1000;
    const watched = watchProbes({
      ...{ spec: one.spec, container, address, entering: enteringNode },
      signal: AbortSignal.any([signal, probing.signal]),
      started: () => void Object.assign(one, { started: true }),
      readinessIs(ready) {
        one.ready = ready;
        tell();
      },
      failed(why) {
        note(`container ${one.spec.name} of ${title}: ${why}`);
        void container.stop(graceMs);
      },
    });
    const exitCode = await container.ended;
    probing.abort();
    await watched;
    const ended = { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', containerID: `containerd://${container.id}` }; // prettier-ignore
    Object.assign(one, { container: undefined, ready: false, started: false, ended } satisfies Partial<Turn>);
    note(`container ${one.spec.name} of ${title} ended with ${exitCode}`);
    tell();
    return exitCode;
  }

  async function runTurn(one: Turn, volumes: ReadonlyMap<string, string>): Promise<void> {
    const policy = spec.restartPolicy ?? 'Always';
    for (
      let pauseMs = 0;
      !signal.aborted;
      pauseMs = Math.min(pauseMs === 0 ? firstPauseMs : pauseMs * 2, longestPauseMs)
    ) {
      const exitCode = await runOnce(one, volumes);
      if (exitCode === undefined || policy === 'Never') return;
      if (exitCode === 0 && (one.isInit || policy === 'OnFailure')) return;
      one.restarts += 1;
      if (pauseMs > 0) one.waiting = { reason: 'CrashLoopBackOff' };
      tell();
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined); // the signal ends the loop
    }
  }

  async function live(): Promise<void> {
    tell();
    const volumes = await untilThere(
      all,
      () =>
      prepareVolumes(pod, { ...{ api, nodeRoot }, directory: join(directory, 'volumes'), claimDirectory: options.claimDirectory }), // prettier-ignore
    );
    if (volumes === undefined) return;
    known = volumes;
    for (const one of inits) {
      await runTurn(one, volumes);
      if (one.ended?.exitCode !== 0) return;
    }
    await Promise.all(mains.map((one) => runTurn(one, volumes)));
  }
  const lived = live().catch((error: unknown) => note(`pod ${title}: ${(error as Error).stack ?? String(error)}`));

  return {
    pod: () => pod,
    container: (name) => all.find((one) => one.spec.name === name)?.container,
    volumeDirectory(name) {
      const found = known.get(name);
      if (found === undefined) throw new Error(`pod ${title} has no volume ${name}`);
      return found;
    },
    logs: () => [...logPaths].map(([name, path]) => `--- ${title} ${name}\n${readFileSync(path, 'utf8')}`).join(''),
    names: (text) => writeFileSync(hosts, text),
    async end(graceMs) {
      over.abort();
      await Promise.all(all.flatMap(({ container }) => container?.stop(graceMs) ?? []));
      await lived;
      await telling;
      await groups.remove(group);
    },
  };
}

/** The outer before what is mounted within it. */
function mountsOf({ volumeMounts = [] }: ContainerSpec, volumes: ReadonlyMap<string, string>): Mount[] {
  const mounts = volumeMounts.map(({ name, mountPath, subPath = '', readOnly = false }) => {
    const source = volumes.get(name);
    if (source === undefined) throw new Error(`no volume is named ${name}`);
    return { source: join(source, subPath), path: mountPath, isReadOnly: readOnly };
  });
  return mounts.sort((a, b) => a.path.length - b.path.length);
}
