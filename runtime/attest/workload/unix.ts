// Workload attestor "unix": user, groups, and, where it is told to look, path and digest of the program.
import { readFile } from 'node:fs/promises';
import type { Selector } from '../../spiffe/selector.ts';
import type { WorkloadAttestor } from './attestor.ts';
import { createFileDigests } from './file-digest.ts';
import { executableLink, processExecutable, processOwner } from './process.ts';

export interface UnixAttestorOptions {
  /** Path and digest need rights over other users' processes, so they are asked for expressly. */
  readonly discoverWorkloadPath: boolean;
  /** Bytes; 0 is no limit, below 0 there is no digest at all. */
  readonly workloadSizeLimit: number;
  readonly passwdFile?: string;
  readonly groupFile?: string;
}

const type = 'unix';

export function createUnixAttestor(options: UnixAttestorOptions): WorkloadAttestor {
  const { discoverWorkloadPath, workloadSizeLimit, passwdFile = '/etc/passwd', groupFile = '/etc/group' } = options;
  const digests = createFileDigests();

  const programOf = async (pid: number): Promise<string[]> => {
    if (!discoverWorkloadPath) return [];
    const path = `path:${await processExecutable(pid)}`;
    if (workloadSizeLimit < 0) return [path];
    return [path, `sha256:${await digests.sha256(executableLink(pid), workloadSizeLimit)}`];
  };

  return {
    type,
    async attest(pid) {
      const [owner, users, groups] = await Promise.all([
        processOwner(pid),
        namesById(passwdFile),
        namesById(groupFile),
      ]);
      const values = [
        ...named('uid', 'user', owner.uid, users),
        ...named('gid', 'group', owner.gid, groups),
        ...owner.supplementaryGids.flatMap((gid) => named('supplementary_gid', 'supplementary_group', gid, groups)),
        ...(await programOf(pid)),
      ];
      return values.map((value): Selector => ({ type, value }));
    },
  };
}

function named(idKind: string, nameKind: string, id: number, names: ReadonlyMap<number, string>): string[] {
  const name = names.get(id);
  return name === undefined ? [`${idKind}:${id}`] : [`${idKind}:${id}`, `${nameKind}:${name}`];
}

/** Third column to first, as in passwd(5) and group(5). The first line for an id counts. Without the file nobody has a name. */
async function namesById(path: string): Promise<Map<number, string>> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name === undefined || id === undefined || !/^\d+$/.test(id) || names.has(Number(id))) continue;
    names.set(Number(id), name);
  }
  return names;
}
