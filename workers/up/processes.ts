// The processes that `up` runs: each in a session of its own (Ctrl-C reaches `up` alone, which stops them in order), each marked in its
// environment, so that what a killed `up` left behind is found and ended at the next start.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StateDirectory } from './state-directory.ts';

export interface ProcessSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly directory?: string;
  /** How it is asked to end. */
  readonly signal?: NodeJS.Signals;
  /** Started again, a second later, when it ends by itself. */
  readonly restart?: boolean;
}

export interface RunningProcess {
  readonly name: string;
  readonly pid: number | undefined;
  /** Set once it has ended and is not started again. */
  ended(): string | undefined;
  /** Asks it to end, and ends it after ten seconds. */
  stop(): Promise<void>;
}

const mark = 'ESPALIER_UP';
const patienceMs = 10_000;

export function startProcess(state: StateDirectory, spec: ProcessSpec): RunningProcess {
  let child = launch(state, spec);
  let reason: string | undefined;
  let stopping = false;
  let exited = watch();

  async function watch(): Promise<void> {
    reason = await new Promise<string>((resolve) => {
      child.once('error', (cause) => resolve(cause.message));
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `ended with code ${code ?? 0}` : `ended by ${signal}`),
      );
    });
    if (stopping || spec.restart !== true) return;
    await sleep(1000);
    if (stopping as boolean) return;
    reason = undefined;
    child = launch(state, spec);
    exited = watch();
  }

  return {
    name: spec.name,
    get pid() {
      return child.pid;
    },
    ended: () => (spec.restart === true && !stopping ? undefined : reason),
    async stop() {
      stopping = true;
      const { pid } = child;
      if (pid !== undefined && child.exitCode === null && child.signalCode === null) {
        signalGroup(pid, spec.signal ?? 'SIGTERM');
        const kill = setTimeout(() => signalGroup(pid, 'SIGKILL'), patienceMs);
        await exited;
        clearTimeout(kill);
      }
      if (pid !== undefined) signalGroup(pid, 'SIGKILL'); // whatever it left in its group
    },
  };
}

function launch(
  state: StateDirectory,
  { name, command: [program, ...args], environment, user, directory }: ProcessSpec,
): ChildProcess {
  mkdirSync(state.path('logs'), { recursive: true });
  const log = openSync(state.path('logs', `${name}.log`), 'a', 0o600);
  try {
    return spawn(program, args, {
      ...user,
      cwd: directory ?? state.root,
      env: {
        ...baseEnvironment(),
        ...environment,
        [mark]: state.root,
        NODE_COMPILE_CACHE: state.path('compile-cache'),
      },
      stdio: ['ignore', log, log],
      detached: true,
    });
  } finally {
    closeSync(log);
  }
}

/** Nothing ambient but what programs need to run at all: no cloud credentials, no proxies. */
function baseEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TERM'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

/** Ends every process that bears our mark: left behind by an `up` that was killed. Returns how many there were. */
export async function endStaleProcesses(state: StateDirectory): Promise<number> {
  const stale = findMarked(state);
  for (const pid of stale) signalOne(pid, 'SIGTERM');
  for (let waited = 0; waited < patienceMs && findMarked(state).length > 0; waited += 100) await sleep(100);
  for (const pid of findMarked(state)) signalOne(pid, 'SIGKILL');
  return stale.length;
}

/** The processes whose environment names our state directory; other users' processes cannot be read and are not ours. */
export function findMarked(state: StateDirectory): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isMarked(pid, state));
}

function isMarked(pid: number, state: StateDirectory): boolean {
  try {
    const marked = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${mark}=${state.root}`);
    return marked && !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false; // ended meanwhile, or another user's
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause;
  }
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause;
  }
}
