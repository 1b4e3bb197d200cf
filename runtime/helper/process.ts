// What is told of new files: a program that we run, or one whose pid stands in a file.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../log.ts';

/** `SIGHUP` as it stands in the configuration. Throws with the reason alone. */
export function parseSignal(name: string): NodeJS.Signals {
  if (Object.hasOwn(constants.signals, name)) return name as NodeJS.Signals;
  throw new Error('no such signal');
}

export interface Command {
  readonly program: string;
  readonly arguments: readonly string[];
}

export interface Supervised {
  /** Starts the program; where it runs already, sends the signal, if there is one. */
  renew(): Promise<void>;
  /** Ends the program and waits for its end. */
  stop(): Promise<void>;
}

const stopPatienceMs = 10_000;

/** A program that ends by itself is started again with the next renewal: it may have been a command that only reloads another. */
export function superviseCommand(
  { program, arguments: words }: Command,
  { renewSignal, log }: { readonly renewSignal: NodeJS.Signals | undefined; readonly log: Logger },
): Supervised {
  let running: ChildProcess | undefined;

  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = spawn(program, words, { stdio: 'inherit' });
      child.once('error', (cause) => reject(new Error(`${program} cannot be run`, { cause })));
      child.once('spawn', () => {
        running = child;
        log.info({ pid: child.pid, cmd: program }, 'Command started');
        resolve();
      });
      child.once('exit', (code, signal) => {
        running = undefined;
        log.info({ pid: child.pid, cmd: program, code, signal }, 'Command ended');
      });
    });

  return {
    async renew() {
      if (running === undefined) return start();
      if (renewSignal !== undefined) running.kill(renewSignal);
    },
    async stop() {
      const child = running;
      if (child === undefined) return;
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopPatienceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

const pidFileAttempts = 10;
const firstWaitMs = 100;

/** The file is read each time: the process may be another one by now. Tries again for a while where it is not there yet. */
export async function signalPidFile(path: string, renewSignal: NodeJS.Signals, signal: AbortSignal): Promise<void> {
  for (let attempt = 1, waitMs = firstWaitMs; ; attempt += 1, waitMs *= 2) {
    try {
      process.kill(await readPid(path), renewSignal);
      return;
    } catch (cause) {
      if (attempt === pidFileAttempts) throw new Error(`process of ${path} did not get ${renewSignal}`, { cause });
      await delay(waitMs, undefined, { signal });
    }
  }
}

async function readPid(path: string): Promise<number> {
  const text = (await readFile(path, 'utf8')).trim();
  // 0 and negative numbers are groups of processes, ours among them; 1 is the machine.
  if (!/^\d{1,10}$/.test(text) || Number(text) < 2)
    throw new Error(`${path} holds ${JSON.stringify(text.slice(0, 40))}, want a pid`);
  return Number(text);
}
