// How many connections a pool makes and keeps, as the database counts them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '../../../../runtime/server/store/database.ts';
import type { Database, PoolLimits } from '../../../../runtime/server/store/database.ts';
import { createTestDatabase } from '../../../support/postgres.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { silentLog } from '../../../support/stores.ts';

let testDatabase: TestDatabase;
let observer: Database;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  observer = openDatabase({ url: testDatabase.url, log: silentLog, maxConnections: 1 });
});
afterAll(async () => {
  await observer.close();
  await testDatabase.drop();
});

/** Of this database, less the observer's own. */
async function connections(): Promise<number> {
  const [row] = await observer.query<{ count: number }>(
    'SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  return row?.count ?? 0;
}

async function withPool(limits: PoolLimits, act: (database: Database) => Promise<void>): Promise<void> {
  const database = openDatabase({ url: testDatabase.url, log: silentLog, ...limits });
  try {
    await act(database);
  } finally {
    await database.close();
    await expect.poll(connections).toBe(0);
  }
}

const backend = (database: Database) =>
  database.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(0.2)');

test('no more connections are made than allowed, and waiting statements get their turn', async () => {
  await withPool({ maxConnections: 2 }, async (database) => {
    const rows = await Promise.all(Array.from({ length: 6 }, () => backend(database)));
    expect(new Set(rows.map(([row]) => row?.pid)).size).toBe(2);
  });
});

test('no more connections are kept idle than allowed', async () => {
  await withPool({ maxConnections: 5, maxIdleConnections: 1 }, async (database) => {
    await Promise.all(Array.from({ length: 5 }, () => backend(database)));
    await expect.poll(connections).toBe(1);
  });
});

test('with no idle connections allowed none is kept', async () => {
  await withPool({ maxIdleConnections: 0 }, async (database) => {
    await backend(database);
    await expect.poll(connections).toBe(0);
  });
});

test('a connection that is too old is not used again', async () => {
  await withPool({ maxConnections: 1, connectionLifetimeMs: 1_000 }, async (database) => {
    const [first] = await backend(database);
    await expect.poll(async () => (await backend(database))[0]?.pid === first?.pid).toBe(false);
  });
});
