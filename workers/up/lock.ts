// One `up` or `down` at a time for a state directory. The lock names its process by pid and start time, so that a killed one holds nothing.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { StateDirectory } from './state-directory.ts';

/** Returns how to release it; throws where another process holds it. */
export function takeLock(state: StateDirectory): () => void {
  const file = state.path('up.lock');
  if (existsSync(file)) {
    const [pid = '', started = ''] = readFileSync(file, 'utf8').split(' ');
    if (startTime(Number(pid)) === started && Number(pid) !== process.pid)
      throw new Error(`espalier is running already (pid ${pid})`);
  }
  writeFileSync(file, `${process.pid} ${startTime(process.pid) ?? ''}`);
  return () => rmSync(file, { force: true });
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
