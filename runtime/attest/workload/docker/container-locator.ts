// Finds the container of a process in what the kernel says of its control groups, version 1 or 2. Where a process could have written its own answer,
// it is refused: a name below a user's slice, and a mount of somebody else's group.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../../log.ts';
import { WorkloadAttestError } from '../attestor.ts';
import type { CgroupMatchers } from './cgroup-matchers.ts';

export interface LocatedContainer {
  readonly id: string;
  readonly cgroupPaths: readonly string[];
}

export interface LocatorOptions {
  /** Instead of ids by their form, as `container_id_cgroup_matchers` asks. */
  readonly matchers?: CgroupMatchers;
  /** Told about every group and mount that was looked at. */
  readonly verboseLog?: Logger;
  readonly procDirectory?: string;
}

/** By convention of all engines. */
const idForm = /\b([0-9a-fA-F]{64})\b/;

/** Undefined where the process is in no container. */
export async function locateContainer(pid: number, options: LocatorOptions): Promise<LocatedContainer | undefined> {
  const { matchers, verboseLog, procDirectory = '/proc' } = options;
  const cgroupPaths = parseCgroups(pid, await readProc(procDirectory, pid, 'cgroup'));
  for (const path of cgroupPaths) verboseLog?.debug({ pid, path }, 'PID cgroup enumerated');
  const inCgroups = oneId(pid, cgroupPaths.map(matchers?.idIn ?? idByForm));
  if (inCgroups !== undefined || matchers !== undefined) return located(inCgroups, cgroupPaths);
  // Mounts are made by the process itself where it has a mount namespace, so they count only where the kernel hides the groups from us: in a
  // process that shares our control group namespace. Anybody else's group has a name.
  if (!cgroupPaths.every((path) => path === '/')) return undefined;
  const mounts = parseCgroupMounts(await readProc(procDirectory, pid, 'mountinfo'));
  for (const root of mounts) verboseLog?.debug({ pid, root }, 'PID mount enumerated');
  return located(oneId(pid, mounts.map(idByForm)), cgroupPaths);
}

function located(id: string | undefined, cgroupPaths: readonly string[]): LocatedContainer | undefined {
  return id === undefined ? undefined : { id, cgroupPaths };
}

/** In the last part of the path that holds one: what comes before is the host's. */
function idByForm(path: string): string | undefined {
  const parts = path.split('/').reverse();
  return parts.flatMap((part) => idForm.exec(part)?.[1] ?? []).at(0);
}

/** Groups without an id say nothing; two ids are a contradiction. */
function oneId(pid: number, found: readonly (string | undefined)[]): string | undefined {
  const [id, ...others] = new Set(found.filter((candidate) => candidate !== undefined));
  if (others.length > 0) {
    throw new WorkloadAttestError(
      'CONTAINER',
      `process ${pid} has several container ids: ${[id, ...others].join(', ')}`,
    );
  }
  return id;
}

/** `hierarchy:controllers:path`, as in cgroups(7). */
function parseCgroups(pid: number, text: string): string[] {
  return linesOf(text).map((line) => {
    const path = /^[^:]*:[^:]*:(.*)$/.exec(line)?.[1];
    if (path === undefined) {
      throw new WorkloadAttestError(
        'CONTAINER',
        `process ${pid} has a cgroup that is not one: ${JSON.stringify(line)}`,
      );
    }
    return path;
  });
}

/** Roots of the control group mounts, as in proc(5). A source may be empty, so the fields are parted by single spaces. */
function parseCgroupMounts(text: string): string[] {
  return linesOf(text).flatMap((line) => {
    const fields = line.split(' ');
    const type = fields[fields.indexOf('-', 6) + 1];
    const root = fields[3];
    return root !== undefined && root !== '/' && (type === 'cgroup' || type === 'cgroup2') ? [root] : [];
  });
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

async function readProc(procDirectory: string, pid: number, name: string): Promise<string> {
  try {
    return await readFile(join(procDirectory, `${pid}`, name), 'utf8');
  } catch (cause) {
    throw new WorkloadAttestError('PROCESS', `${name} of process ${pid} is not readable`, { cause });
  }
}
