// What a process on this machine uses now, as /proc has it: for programs that are measured from outside.
import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessUsage {
  readonly rssMb: number;
  readonly descriptors: number;
  /** User and system, since it started. */
  readonly cpuMs: number;
}

const clockTicksPerSecond = 100;

/** Throws where the process has ended. */
export function usageOf(pid: number): ProcessUsage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kilobytes = ''] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // After the name, which is in parentheses: utime and stime are the 12th and the 13th of what follows.
  const [user = '', system = ''] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return {
    rssMb: Number(kilobytes) / 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    cpuMs: ((Number(user) + Number(system)) * 1000) / clockTicksPerSecond,
  };
}
