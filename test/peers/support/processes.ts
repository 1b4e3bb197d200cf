// Runs other programs: to their end, or as long as a test needs them. None outlives the process that started it.
import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Whatever its exit code. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { cwd, env, timeoutMs = 60_000 } = options;
  const settings = { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 * 2 ** 20 };
  return new Promise((resolve, reject) => {
    execFile(command, [...args], settings, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === 'number') resolve({ code, stdout, stderr });
      else reject(new Error(`${command} ${args.join(' ')} did not run to its end: ${stderr}`, { cause: error }));
    });
  });
}

/** Its standard output; throws with what it said unless it ends with 0. */
export async function output(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

export interface Program {
  /** What it has said so far. */
  readonly log: () => string;
  /** Throws with its log where it has ended by itself. */
  readonly checkRunning: () => void;
  readonly stop: () => Promise<void>;
}

export interface ProgramOptions extends RunOptions {
  readonly logPath: string;
  readonly stopTimeoutMs?: number;
}

// Standard input is the leash: it closes when the test process ends, however it ends, and the program is told to end too.
const leash =
  'exec 3<&0; "$@" </dev/null 3<&- & pid=$!; { read -r _ <&3; kill -TERM $pid; } & guard=$!; wait $pid; code=$?; kill $guard; exit $code';

export function start(
  command: string,
  args: readonly string[],
  { env, cwd, logPath, stopTimeoutMs = 10_000 }: ProgramOptions,
): Program {
  const log = openSync(logPath, 'a', 0o600);
  const child = spawn('/bin/sh', ['-c', leash, 'leash', command, ...args], {
    cwd,
    env: { ...process.env, ...env },
    // A group of its own, so that Ctrl-C in the terminal ends the tests first, and all of it can be ended at once.
    detached: true,
    stdio: ['pipe', log, log],
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdin?.on('error', () => undefined); // It ended before its leash was let go.
  const read = (): string => readFileSync(logPath, 'utf8');
  return {
    log: read,
    checkRunning() {
      if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}:\n${read()}`);
    },
    async stop() {
      if (child.exitCode !== null) return;
      child.stdin?.end();
      const inTime = await Promise.race([ended.then(() => true), sleep(stopTimeoutMs, false, { ref: false })]);
      if (inTime || child.pid === undefined) return;
      process.kill(-child.pid, 'SIGKILL');
      await ended;
      throw new Error(`${command} did not end within ${stopTimeoutMs} ms of SIGTERM:\n${read()}`);
    },
  };
}

/** Tries until it answers; what the last try threw is the reason when time is up. What `check` throws ends the wait at once. */
export async function eventually<T>(
  what: string,
  attempt: () => Promise<T> | T,
  timeoutMs = 30_000,
  check: () => void = () => undefined,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    check();
    try {
      return await attempt();
    } catch (cause) {
      if (Date.now() > deadline) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${what}: not within ${timeoutMs} ms: ${reason}`, { cause });
      }
    }
    await sleep(200);
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
