// Finds the container of a process in what the kernel says of its control groups, version 1 or 2. Where a process could have written its own answer,
// it is refused: a name below a user's slice, and a mount of somebody else's group.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../log.ts';
import { WorkloadAttestError } from './attestor.ts';

export interface NamedContainer {
  readonly id: string;
  /** Where the path says whose it is. */
  readonly podUid?: string;
}

export interface LocatedContainer extends NamedContainer {
  readonly cgroupPaths: readonly string[];
}

export interface LocatorOptions {
  /** The container that a path of a control group names. */
  readonly find: (path: string) => NamedContainer | undefined;
  /** Whether mounts are looked at where the groups are hidden. */
  readonly readsMounts: boolean;
  /** Told about every group and mount that was looked at. */
  readonly verboseLog?: Logger;
  readonly procDirectory?: string;
}

/** By convention of all engines. */
const idForm = /\b([0-9a-fA-F]{64})\b/;

/** Undefined where the process is in no container. */
export async function locateContainer(pid: number, options: LocatorOptions): Promise<LocatedContainer | undefined> {
  const { find, readsMounts, verboseLog, procDirectory = '/proc' } = options;
  const cgroupPaths = parseCgroups(pid, await readProc(procDirectory, pid, 'cgroup'));
  for (const path of cgroupPaths) verboseLog?.debug({ pid, path }, 'PID cgroup enumerated');
  const inCgroups = theOnly(pid, cgroupPaths.map(find));
  if (inCgroups !== undefined || !readsMounts) return located(inCgroups, cgroupPaths);
  // Mounts are made by the process itself where it has a mount namespace, so they count only where the kernel hides the groups from us: in a
  // process that shares our control group namespace. Anybody else's group has a name.
  if (!cgroupPaths.every((path) => path === '/')) return undefined;
  const mounts = parseCgroupMounts(await readProc(procDirectory, pid, 'mountinfo'));
  for (const root of mounts) verboseLog?.debug({ pid, root }, 'PID mount enumerated');
  return located(theOnly(pid, mounts.map(find)), cgroupPaths);
}

function located(found: NamedContainer | undefined, cgroupPaths: readonly string[]): LocatedContainer | undefined {
  return found === undefined ? undefined : { ...found, cgroupPaths };
}

/** In the last part of the path that holds one: what comes before is the host's. */
export function containerIdIn(path: string): string | undefined {
  const parts = path.split('/').reverse();
  return parts.flatMap((part) => idForm.exec(part)?.[1] ?? []).at(0);
}

/** Below a user's slice, that user may name control groups. */
export function userWhoNamed(cgroupPaths: readonly string[]): string | undefined {
  return cgroupPaths.flatMap((path) => /\/user-(\d+)\.slice\//.exec(path)?.[1] ?? []).at(0);
}

/** Groups without an id say nothing, and those that name a pod count before those that do not; two ids, or two pods, are a contradiction. */
function theOnly(pid: number, found: readonly (NamedContainer | undefined)[]): NamedContainer | undefined {
  const named = found.filter((candidate) => candidate !== undefined);
  const ofPods = named.filter(({ podUid }) => podUid !== undefined);
  const counted = ofPods.length > 0 ? ofPods : named;
  for (const [what, values] of [
    ['container ids', new Set(counted.map(({ id }) => id))],
    ['pods', new Set(counted.map(({ podUid }) => podUid))],
  ] as const) {
    if (values.size > 1)
      throw new WorkloadAttestError('CONTAINER', `process ${pid} has several ${what}: ${[...values].join(', ')}`);
  }
  return counted[0];
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
