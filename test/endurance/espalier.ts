// Espalier as a person runs it: the launcher in a process of its own, what it prints, and the signals that it gets.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Phase } from './cases.ts';
import { kill } from './processes.ts';

export interface Run {
  readonly pid: number;
  output(): string;
  /** Resolves when the output matches; throws when the process ends first or it takes too long. */
  waitFor(what: string, pattern: RegExp): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** The exit code, or the name of the signal that ended it. */
  end(): Promise<number | NodeJS.Signals>;
}

/** On two cores that others use as well, a whole run takes minutes. */
const patienceMs = 15 * 60_000;

export function runEspalier(root: string, command: 'up' | 'down', state: string, spec: string, once = false): Run {
  const kept = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => name !== 'DATABASE_URL' && !name.startsWith('TEMPORAL_')),
  );
  const args = [join(root, 'bin/espalier'), command, '--state', state, '--file', spec, ...(once ? ['--once'] : [])];
  const child = spawn('sh', args, { env: kept, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const { pid } = child;
  if (pid === undefined) throw new Error(`espalier ${command} could not be started`);
  let text = '';
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      tell();
    });
  let ended: number | NodeJS.Signals | undefined;
  child.once('exit', (code, signal) => {
    ended = signal ?? code ?? 0;
    tell();
  });

  function until<T>(what: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        listeners.delete(check);
        clearTimeout(timer);
        act();
      };
      const check = (): void => {
        try {
          const found = look();
          if (found !== undefined) settle(() => resolve(found));
        } catch (cause) {
          settle(() => reject(cause instanceof Error ? cause : new Error(String(cause))));
        }
      };
      const timer = setTimeout(
        () =>
          settle(() => reject(new Error(`espalier ${command}: ${what} took more than ${patienceMs / 60_000} minutes`))),
        patienceMs,
      );
      listeners.add(check);
      check();
    });
  }

  return {
    pid,
    output: () => text,
    waitFor: (what, pattern) =>
      until(what, () => {
        if (pattern.test(text)) return true;
        if (ended !== undefined) throw new Error(`espalier ${command} ended with ${ended} before ${what}:\n${text}`);
        return undefined;
      }).then(() => undefined),
    signal: (signal) => kill(pid, signal),
    end: () => until('its end', () => ended),
  };
}

/** A line of the progress: the phase runs, or, when it was too short to be seen running, is over. */
export function phaseBegun(phase: Phase, segment: string): RegExp {
  const whole = phase === 'plan' || phase === 'infrastructure' || phase === 'upstream' || phase === 'validation';
  return new RegExp(`^ {2}\\S ${whole ? phase : `${phase} ${segment}`} +(running|done)`, 'm');
}

export const isUp = /^Up\. Ctrl-C stops/m;
