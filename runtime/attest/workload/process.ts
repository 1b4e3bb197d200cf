// Facts about a process from /proc: when it started, whose it is, which program it runs. Linux only.
import { readFile, readlink } from 'node:fs/promises';
import { startTimeIn } from '../../rpc/process-start.ts';
import { WorkloadAttestError } from './attestor.ts';

export interface ProcessOwner {
  /** Effective, as the kernel judges by it. */
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
}

/** Ticks since boot at which the process started: with the pid it names one process, however often the pid is used again. */
export async function processStartTime(pid: number): Promise<string> {
  const startTime = startTimeIn(await readProc(pid, 'stat'));
  if (startTime === undefined) throw processError(pid, 'has no start time');
  return startTime;
}

export async function processOwner(pid: number): Promise<ProcessOwner> {
  const status = await readProc(pid, 'status');
  const numbers = (name: string): number[] => {
    const line = status.split('\n').find((candidate) => candidate.startsWith(`${name}:`));
    if (line === undefined) throw processError(pid, `has no ${name} line in its status`);
    return line
      .slice(name.length + 1)
      .split(/\s+/)
      .filter((word) => word !== '')
      .map(Number);
  };
  const [, uid] = numbers('Uid'); // real, effective, saved, file system
  const [, gid] = numbers('Gid');
  if (uid === undefined || gid === undefined) throw processError(pid, 'has no effective user or group');
  return { uid, gid, supplementaryGids: numbers('Groups') };
}

/** Where the program was when the process was started, in the agent's own view of the file system. */
export async function processExecutable(pid: number): Promise<string> {
  try {
    return await readlink(executableLink(pid));
  } catch (cause) {
    throw new WorkloadAttestError('PATH', `path of process ${pid} is not readable`, { cause });
  }
}

/** Opens the program itself, even one that was deleted or lies in another mount namespace. */
export function executableLink(pid: number): string {
  return `/proc/${pid}/exe`;
}

async function readProc(pid: number, name: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${name}`, 'latin1');
  } catch (cause) {
    throw processError(pid, 'is gone', cause);
  }
}

function processError(pid: number, what: string, cause?: unknown): WorkloadAttestError {
  return new WorkloadAttestError('PROCESS', `process ${pid} ${what}`, { cause });
}
