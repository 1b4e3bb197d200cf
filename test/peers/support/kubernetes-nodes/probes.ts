// Whether a container has started, is ready and is alive, asked as the kubelet asks: from the node's network, or by a program within the container.
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../processes.ts';
import type { Container } from './container.ts';
import type { ContainerSpec, Probe } from './objects.ts';

export interface Probed {
  readonly spec: ContainerSpec;
  readonly container: Container;
  /** Where its ports are. */
  readonly address: string;
  /** Words before a command that enter the node's network. */
  readonly entering: readonly string[];
  readonly signal: AbortSignal;
  readonly started: () => void;
  readonly readinessIs: (ready: boolean) => void;
  /** It did not start, or is not alive. */
  readonly failed: (why: string) => void;
}

/** Until the signal, or until it has failed. */
export async function watchProbes(probed: Probed): Promise<void> {
  const { spec, started, readinessIs, failed } = probed;
  const { startupProbe, livenessProbe, readinessProbe } = spec;
  if (startupProbe !== undefined && !(await hasStarted(startupProbe, probed))) return;
  if (probed.signal.aborted) return;
  started();
  if (readinessProbe === undefined) readinessIs(true);
  await Promise.all([
    readinessProbe && repeat(readinessProbe, probed, readinessIs),
    livenessProbe && repeat(livenessProbe, probed, (alive) => {
      if (!alive) failed('liveness probe failed');
    }), // prettier-ignore
  ]);
}

async function hasStarted(probe: Probe, probed: Probed): Promise<boolean> {
  for (let left = probe.failureThreshold ?? 3; left > 0; left -= 1) {
    if (await succeeds(probe, probed)) return true;
    if (!(await passed(probe.periodSeconds ?? 10, probed.signal))) return false;
  }
  probed.failed('startup probe failed');
  return false;
}

/** Tells of each change that has lasted as long as the thresholds say. */
async function repeat(probe: Probe, probed: Probed, changed: (success: boolean) => void): Promise<void> {
  const { periodSeconds = 10, initialDelaySeconds = 0, failureThreshold = 3, successThreshold = 1 } = probe;
  let told: boolean | undefined;
  let last: boolean | undefined;
  let times = 0;
  if (!(await passed(initialDelaySeconds, probed.signal))) return;
  do {
    const success = await succeeds(probe, probed);
    times = success === last ? times + 1 : 1;
    last = success;
    if (success !== told && times >= (success ? successThreshold : failureThreshold)) changed((told = success));
  } while (await passed(periodSeconds, probed.signal));
}

async function passed(seconds: number, signal: AbortSignal): Promise<boolean> {
  await sleep(seconds * 1000, undefined, { signal }).catch(() => undefined); // the signal says it
  return !signal.aborted;
}

async function succeeds(probe: Probe, probed: Probed): Promise<boolean> {
  const { exec, httpGet, tcpSocket, timeoutSeconds = 1 } = probe;
  const timeoutMs = timeoutSeconds * 1000;
  if (exec !== undefined) return isZero(probed.container.exec(exec.command, timeoutMs));
  const asked = httpGet ?? tcpSocket;
  if (asked === undefined) throw new Error(`nothing here makes a probe of ${JSON.stringify(probe)}`);
  const [host, port] = [asked.host ?? probed.address, portOf(asked.port, probed.spec)];
  const [command = '', ...words] = [
    ...probed.entering,
    // Without --norc bash, which takes this pipe for a remote shell's, reads its user's start-up file first, however long that takes.
    ...(httpGet === undefined
      ? ['timeout', String(timeoutSeconds), 'bash', '--norc', '-c', `exec 3<>/dev/tcp/${host}/${port}`]
      : ['curl', '--silent', '--insecure', '--fail', '--output', '/dev/null', '--max-time', String(timeoutSeconds), `${(httpGet.scheme ?? 'HTTP').toLowerCase()}://${host}:${port}${httpGet.path ?? '/'}`]), // prettier-ignore
  ];
  return isZero(run(command, words, { timeoutMs: timeoutMs + 5_000 }));
}

async function isZero(running: Promise<{ code: number }>): Promise<boolean> {
  return running.then(
    ({ code }) => code === 0,
    () => false, // not in time
  );
}

function portOf(port: number | string, { name, ports = [] }: ContainerSpec): number {
  if (typeof port === 'number') return port;
  const found = ports.find((one) => one.name === port);
  if (found === undefined) throw new Error(`container ${name} has no port ${port}`);
  return found.containerPort;
}
