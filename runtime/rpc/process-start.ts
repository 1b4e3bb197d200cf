// When a process started, from /proc: with its pid that names one process, however often the pid is used again. Linux only.
import { readFileSync } from 'node:fs';

/** Ticks since boot, from the text of /proc/<pid>/stat; undefined where the text does not say. */
export function startTimeIn(stat: string): string | undefined {
  // The name of the program is in parentheses and may hold parentheses and blanks itself: what counts comes after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = fields[19]; // field 22 of proc(5), where the first after the name is field 3
  return startTime !== undefined && /^\d+$/.test(startTime) ? startTime : undefined;
}

/** Read at once and not later: between a connection and its process's next sign of life the pid may change hands. */
export function readStartTime(pid: number): string | undefined {
  try {
    return startTimeIn(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined; // it has ended, or /proc does not show it to us: the caller treats both as not known
  }
}
