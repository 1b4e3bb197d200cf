// `run` as a process: an operator's signals, and what a second server on a database of SPIRE's says.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../../../runtime/server/store/database.ts';
import { createTestDatabase } from '../../../support/postgres.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { silentLog } from '../../../support/stores.ts';
import { runCaptured } from './stub-server.ts';

const program = fileURLToPath(new URL('../../../../bin/spire-server', import.meta.url));
const patience = { timeout: 60_000, interval: 100 };
let directory: string;
let database: TestDatabase;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'run-'));
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.drop();
  rmSync(directory, { recursive: true });
});

const path = (name: string) => join(directory, name);
const logged = (name = 'server.log') => (existsSync(path(name)) ? readFileSync(path(name), 'utf8') : '');

/** The configuration in JSON, as it may be. */
function writeConfig(): void {
  const config = {
    server: {
      trust_domain: 'example.org',
      bind_address: '127.0.0.1',
      bind_port: 0,
      socket_path: path('api.sock'),
      data_dir: path('data'),
      log_file: path('server.log'),
      log_source_location: true,
    },
    plugins: {
      DataStore: { sql: { plugin_data: { database_type: 'postgres', connection_string: database.url } } },
      KeyManager: { memory: {} },
      NodeAttestor: { x509pop: { plugin_data_file: path('x509pop.conf') } },
    },
  };
  writeFileSync(path('server.json'), JSON.stringify(config));
  writeFileSync(path('x509pop.conf'), 'mode = "spiffe"');
}

function start(): ChildProcess {
  return spawn(program, ['run', '-config', path('server.json')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

test('signals rotate the log, have plugins read their files, and end the server', async () => {
  writeConfig();
  const server = start();
  const ended = once(server, 'exit');
  await expect.poll(logged, patience).toMatch(/msg="Starting Server APIs" .*network=tcp/);
  expect(logged()).toMatch(/file="endpoints\.ts:\d+"/);

  renameSync(path('server.log'), path('server.log.1'));
  server.kill('SIGUSR2');
  await expect.poll(() => existsSync(path('server.log')), patience).toBe(true);

  writeFileSync(path('x509pop.conf'), 'mode = "spiffe"\nagent_path_template = "/other"');
  server.kill('SIGUSR1');
  await expect.poll(logged, patience).toMatch(/plugin_name=x509pop/);
  expect(logged('server.log.1')).not.toMatch(/plugin_name=x509pop/);

  const socket = ['-socketPath', path('api.sock')];
  expect((await runCaptured(['logger', 'set', '-level', 'error', ...socket])).out).toBe(
    'Logger Level : error\nLaunch Level : info\n\n',
  );
  expect((await runCaptured(['debug', 'getinfo', ...socket])).out).toMatch(/^Server Debug Info:\n/);
  server.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
}, 120_000);

test('a database with SPIRE’s tables is not touched', async () => {
  writeConfig();
  const connection = openDatabase({ url: database.url, log: silentLog });
  await connection.query('CREATE TABLE registered_entries (id integer)');
  await connection.close();
  const server = start();
  expect(await once(server, 'exit')).toEqual([1, null]);
  expect(logged()).toMatch(/msg="Server crashed" .*error="database holds data of SPIRE \(registered_entries\)/);
}, 120_000);
