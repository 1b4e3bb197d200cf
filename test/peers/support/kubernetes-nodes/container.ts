// One container: a process in control groups of its own, in a mount namespace whose root is put together of bind mounts, with the user, the capabilities and the
// limits that its pod says. Neither seccomp nor AppArmor; the kernel's processes are seen where the pod says hostPID, or shareProcessNamespace, for which the
// machine's own namespace stands in, and its own alone otherwise.
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ended } from '../processes.ts';
import { privilegesOf } from './container-user.ts';
import { rootScript } from './container-root.ts';
import type { Mount } from './container-root.ts';
import type { ControlGroups } from './control-groups.ts';
import type { Environment } from './environment.ts';
import { expand } from './environment.ts';
import type { Image } from './images.ts';
import type { ContainerSpec, Pod } from './objects.ts';

export interface Container {
  readonly id: string;
  readonly startedAt: Date;
  readonly logPath: string;
  /** With its exit code, 128 and more for a signal. */
  readonly ended: Promise<number>;
  /** Another program within it. */
  exec(command: readonly string[], timeoutMs?: number): Promise<Ended>;
  /** SIGTERM, and an end by force when the time is up. */
  stop(graceMs: number): Promise<void>;
}

export interface ContainerOptions {
  readonly pod: Pod;
  readonly spec: ContainerSpec;
  readonly image: Image;
  readonly environment: Environment;
  readonly mounts: readonly Mount[];
  readonly groups: ControlGroups;
  /** Of its pod, within `groups`. */
  readonly group: string;
  /** Words before a command that enter its network. */
  readonly entering: readonly string[];
  /** For its root and its log. */
  readonly directory: string;
}

const idBytes = 32;

export function startContainer(options: ContainerOptions): Container {
  const { pod, spec, image, environment, mounts, groups, entering, directory } = options;
  const id = randomBytes(idBytes).toString('hex');
  const group = `${options.group}/${id}`;
  const root = join(directory, 'root');
  mkdirSync(root, { recursive: true });
  const logPath = join(directory, 'log');
  const privileges = privilegesOf(pod, spec, image);
  const isAlone = pod.spec.hostPID !== true && pod.spec.shareProcessNamespace !== true;
  const script = rootScript({
    root,
    mounts: [...image.places.map((place) => ({ ...place, isReadOnly: true })), ...mounts],
    isReadOnly: spec.securityContext?.readOnlyRootFilesystem === true,
    hostName: pod.spec.hostNetwork === true ? undefined : pod.metadata.name,
    directory: spec.workingDir ?? '/',
  });
  const words = [...(spec.command ?? image.entrypoint), ...(spec.args ?? [])].map((word) => expand(word, environment));
  const [command = '', ...rest] = [
    ...groups.entering(group),
    ...entering,
    ...['unshare', '--mount', '--propagation', 'private', '--ipc', '--uts'],
    ...(isAlone ? ['--pid', '--fork', '--kill-child=SIGKILL'] : []),
    ...['/bin/sh', '-c', script, 'container'],
    ...privileges,
    ...words,
  ];
  groups.make(group, spec.resources?.limits);
  const log = openSync(logPath, 'a', 0o600);
  const child = spawn(command, rest, { env: environment, stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(128));
    child.once('exit', (code, signal) => {
      groups.kill(group); // what it has left behind
      void groups.remove(group).then(() => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)));
    });
  });

  /** The container's first process; undefined where it has not begun, or has ended. */
  const first = (): number | undefined => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return undefined;
    if (!isAlone) return child.pid;
    const [pid = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
    return pid === '' ? undefined : Number(pid);
  };

  return {
    id,
    startedAt: new Date(),
    logPath,
    ended,
    async exec(words, timeoutMs = 30_000) {
      const pid = first();
      if (pid === undefined) throw new Error(`container ${spec.name} of ${pod.metadata.name} does not run`);
      const entered = ['nsenter', `--target=${pid}`, '--mount', '--pid', '--net', '--ipc', '--uts', '--root', '--wd'];
      return runWith(environment, [...groups.entering(group), ...entered, ...privileges, ...words], timeoutMs);
    },
    async stop(graceMs) {
      const pid = first();
      if (pid !== undefined) signal(pid, 'SIGTERM');
      const timer = setTimeout(() => groups.kill(group), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** With that environment and nothing of this process's own. */
function runWith(env: Environment, [command = '', ...words]: readonly string[], timeout: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(command, words, { env, timeout }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === 'number') resolve({ code, stdout, stderr });
      else reject(new Error(`not within ${timeout} ms: ${stderr}`, { cause: error }));
    });
  });
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has ended by itself
  }
}
