// Finds and ends an instance's processes. They are known by a variable in their environment, which names the instance's directory and
// which every child inherits: nothing else on the machine can be meant.
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const marker = 'ESPALIER_INSTANCE';

/** Ids of the processes that carry the mark of this directory; zombies and other users' processes do not count. */
export function findProcesses(directory: string): number[] {
  const wanted = `${marker}=${directory}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => environmentOf(pid).includes(wanted));
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  } catch {
    // Gone in the meantime, or another user's.
    return [];
  }
}

/** A process and the time it began, so that its number cannot be mistaken for a later process's. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // After the command's closing parenthesis: state is the first field, start time the twentieth.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    const startTime = fields[19];
    return startTime === undefined || state === 'Z' || state === 'X' ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    // It ended by itself.
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause;
  }
}

/** Kills what carries the mark until nothing does: a process may fork while the list is read. */
export async function killProcesses(directory: string): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    const pids = findProcesses(directory);
    if (pids.length === 0) return;
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
    await sleep(20);
  }
  throw new Error(`processes of ${directory} do not end: ${findProcesses(directory).join(', ')}`);
}
