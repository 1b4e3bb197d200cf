// One `up` or `down` at a time for a state directory. The lock names its process by pid and start time, so that a killed one holds nothing.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { StateDirectory } from './state-directory.ts';

/** Returns how to release it; throws where another process holds it. */
export function takeLock(state: StateDirectory): () => void {
  const file = state.path('up.lock');
  const own = `${process.pid} ${startTime(process.pid) ?? ''}`;
  if (!writeNew(file, own)) {
    const [pid = '', started = ''] = readFileSync(file, 'utf8').split(' ');
    if (startTime(Number(pid)) === started) throw new Error(`espalier is running already (pid ${pid})`);
    // Left by a process that was killed. Two that find it at once: one of them creates it anew, the other one is refused.
    rmSync(file, { force: true });
    if (!writeNew(file, own)) throw new Error('espalier is being started by another process');
  }
  return () => rmSync(file, { force: true });
}

/** Says false where the file exists. */
function writeNew(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: 'wx' });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}

/** Field 22 of /proc/<pid>/stat: clock ticks since boot; `undefined` where there is no such process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined; // it has ended
  }
}
