// The PostgreSQL that `up` uses: the one that DATABASE_URL names, or npm's embedded one, with its data kept between starts.
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ensureCluster, reachableProgram, unprivilegedOwner } from './postgres-program.ts';
import { startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import type { StateDirectory } from './state-directory.ts';

export interface Postgres {
  /** May create roles and databases. */
  readonly adminUrl: string;
  readonly choice: string;
}

const startTimeoutMs = 60_000;
const releaseTimeoutMs = 10_000;
const settings = ['listen_addresses=127.0.0.1', 'max_connections=200', 'unix_socket_directories='];

/** `keep` gets the process before it answers, so that it is stopped when it never does. */
export async function startPostgres(
  state: StateDirectory,
  given: string | undefined,
  keep: (started: RunningProcess) => void,
): Promise<Postgres> {
  if (given !== undefined) return { adminUrl: given, choice: 'PostgreSQL that DATABASE_URL names' };
  const owner = unprivilegedOwner();
  const directory = dataDirectory(state);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const program = await reachableProgram(owner, directory);
  setAsideOrphan(directory, state.path('postgres-password'));
  const password = ensurePassword(state);
  const data = ensureCluster(program, owner, directory, password);
  const port = await state.port('postgres');
  await waitUntilReleased(data);
  const running = startProcess(state, {
    name: 'postgres',
    command: [program.postgres, '-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
    user: owner,
    directory,
    signal: 'SIGINT', // fast shutdown: SIGTERM would wait for its clients
  });
  keep(running);
  const adminUrl = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  await waitUntilAnswers(adminUrl, running);
  return { adminUrl, choice: `npm's embedded PostgreSQL at 127.0.0.1:${port}` };
}

/**
 * What is left of one that was killed lets go of the data a moment later, and its lock file names a process that may still be in the process
 * table, dead: a new one would refuse to start. Whoever works there when our patience ends is PostgreSQL's to judge.
 */
async function waitUntilReleased(data: string): Promise<void> {
  const deadline = Date.now() + releaseTimeoutMs;
  while (worksIn(data)) {
    if (Date.now() > deadline) return;
    await sleep(50);
  }
  rmSync(join(data, 'postmaster.pid'), { force: true });
}

/** Every process of PostgreSQL works in its data directory. */
function worksIn(directory: string): boolean {
  return readdirSync('/proc').some((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`) === directory;
    } catch {
      return false; // dead, or another user's
    }
  });
}

export function removePostgresData(state: StateDirectory): void {
  rmSync(dataDirectory(state), { recursive: true, force: true });
  rmSync(state.path('postgres-password'), { force: true });
}

/** Under the state directory where the user who runs PostgreSQL can get there, else in a place of its own that everybody can reach. */
function dataDirectory(state: StateDirectory): string {
  if (unprivilegedOwner() === undefined || isReachable(state.root)) return state.path('postgres');
  return join('/var/tmp', `espalier-${createHash('sha256').update(state.root).digest('hex').slice(0, 12)}`);
}

function isReachable(path: string): boolean {
  const open = (statSync(path).mode & 0o001) !== 0;
  return open && (path === '/' || isReachable(dirname(path)));
}

/**
 * Data outside of a state directory that was deleted, and its password with it, can be opened by nobody: it is put aside, and goes with the next `down`.
 * Returns where it is.
 */
export function setAsideOrphan(directory: string, passwordFile: string): string | undefined {
  const complete = join(directory, 'cluster.complete');
  if (existsSync(passwordFile) || !existsSync(complete)) return undefined;
  const aside = join(directory, `data-without-password-${statSync(complete).mtimeMs.toFixed(0)}`);
  rmSync(complete);
  renameSync(join(directory, 'data'), aside);
  return aside;
}

function ensurePassword(state: StateDirectory): string {
  const file = state.path('postgres-password');
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('hex'), { mode: 0o600 });
  chmodSync(file, 0o600);
  return readFileSync(file, 'utf8');
}

async function waitUntilAnswers(url: string, running: RunningProcess): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const ended = running.ended();
    if (ended !== undefined) throw new Error(`PostgreSQL ${ended}; see logs/postgres.log`);
    if (await answers(url)) return;
    if (Date.now() > deadline)
      throw new Error(`PostgreSQL did not answer in ${startTimeoutMs / 1000} s; see logs/postgres.log`);
    await sleep(50);
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    return true;
  } catch {
    return false; // not up yet: the caller's deadline decides
  } finally {
    await client.end().catch(() => undefined); // it was never connected
  }
}
