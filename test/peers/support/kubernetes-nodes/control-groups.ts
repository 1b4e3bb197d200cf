// The control groups of a node's containers, in every hierarchy that this kernel has, below one group of the cluster's own; and the guard that ends what is in
// them, and takes groups and network namespaces away, when the process that made them ends, however it ends.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ControlGroups {
  /** Keeps it to the limits of which the kernel has the controllers. */
  make(path: string, limits?: Readonly<Record<string, string>>): void;
  /** Words before a command that put it there. */
  entering(path: string): readonly string[];
  /** Ends every process there at once. */
  kill(path: string): void;
  /** Once it is empty, which takes the kernel a moment. */
  remove(path: string): Promise<void>;
  /** Ends everything; resolves when it is gone. */
  stop(): Promise<void>;
}

const mounted = '/sys/fs/cgroup';
/** Version 2 is the whole tree, or beside version 1. */
const unified = existsSync(join(mounted, 'cgroup.controllers')) ? mounted : join(mounted, 'unified');
const hierarchies = [unified, ...['cpu', 'memory', 'pids'].map((name) => join(mounted, name))].filter(
  (path, at, all) => existsSync(join(path, 'cgroup.procs')) && all.indexOf(path) === at,
);
const periodUs = 100_000;
/** A group weighs no more than one program outside of groups, unless it is told; in this one are a cluster's. */
const manyTasks = 16;

// Standard input is the leash.
const guard = `
read -r _
echo 1 >"$1/$2/cgroup.kill"
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  grep -q 'populated 0' "$1/$2/cgroup.events" && break
  sleep 0.1
done
for space in /run/netns/"$2" /run/netns/"$2"-*; do [ -e "$space" ] && ip netns del "\${space##*/}"; done
name=$2
shift 2
for root in "$@"; do [ -d "$root/$name" ] && find "$root/$name" -depth -type d -exec rmdir {} +; done
`;

export function createControlGroups(name: string): ControlGroups {
  const groupsOf = (path: string) => hierarchies.map((root) => join(root, name, path));
  for (const group of groupsOf('')) {
    mkdirSync(group);
    writeThere(group, 'cpu.weight', String(manyTasks * 100));
    writeThere(group, 'cpu.shares', String(manyTasks * 1024));
  }
  const watcher = spawn('/bin/sh', ['-c', guard, 'guard', unified, name, ...hierarchies], {
    detached: true, // Ctrl-C in the terminal is for the tests.
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = new Promise((resolve) => watcher.once('exit', resolve));
  const entry =
    'for group in "$@"; do shift; [ "$group" = -- ] && break; echo $$ >"$group/cgroup.procs"; done; exec "$@"';

  return {
    make(path, limits = {}) {
      for (const group of groupsOf(path)) {
        mkdirSync(group, { recursive: true });
        limit(group, limits);
      }
    },
    entering: (path) => ['/bin/sh', '-c', entry, 'sh', ...groupsOf(path), '--'],
    kill(path) {
      writeFileSync(join(unified, name, path, 'cgroup.kill'), '1');
    },
    async remove(path) {
      for (const group of groupsOf(path)) await removeGroup(group);
    },
    async stop() {
      watcher.stdin.end();
      await ended;
    },
  };
}

function limit(group: string, { cpu, memory }: Readonly<Record<string, string>>): void {
  if (memory !== undefined) {
    const bytes = String(bytesOf(memory));
    writeThere(group, 'memory.max', bytes);
    writeThere(group, 'memory.limit_in_bytes', bytes);
  }
  if (cpu !== undefined) {
    const quota = String(coresOf(cpu) * periodUs);
    writeThere(group, 'cpu.max', `${quota} ${periodUs}`);
    writeThere(group, 'cpu.cfs_quota_us', quota);
  }
}

/** Where the kernel has that controller there. */
function writeThere(group: string, file: string, value: string): void {
  if (existsSync(join(group, file))) writeFileSync(join(group, file), value);
}

function bytesOf(text: string): number {
  const [, amount = '', unit = ''] = /^(\d+)(Ki|Mi|Gi|)$/.exec(text) ?? [];
  if (amount === '') throw new Error(`not an amount of memory: ${text}`);
  return Number(amount) * 1024 ** ['', 'Ki', 'Mi', 'Gi'].indexOf(unit);
}

function coresOf(text: string): number {
  const [, amount = '', thousandths = ''] = /^(\d+)(m?)$/.exec(text) ?? [];
  if (amount === '') throw new Error(`not an amount of CPU: ${text}`);
  return Number(amount) / (thousandths === '' ? 1 : 1000);
}

async function removeGroup(group: string): Promise<void> {
  for (let left = 100; existsSync(group); left -= 1) {
    try {
      rmdirSync(group);
    } catch (error) {
      const isBusy = (error as NodeJS.ErrnoException).code === 'EBUSY';
      if (!isBusy || left === 0) throw error;
      await sleep(20);
    }
  }
}
