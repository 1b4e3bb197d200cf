import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../../../runtime/server/store/database.ts';
import type { Database } from '../../../../runtime/server/store/database.ts';
import { migrate } from '../../../../runtime/server/store/migrate.ts';
import { migrations } from '../../../../runtime/server/store/migrations.ts';
import { openPostgresStore } from '../../../../runtime/server/store/postgres-store.ts';
import { createTestDatabase } from '../../../support/postgres.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { silentLog } from '../../../support/stores.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, log: silentLog });
});
afterEach(async () => {
  await database.close();
  await testDatabase.drop();
});

const versions = async () =>
  (await database.query<{ version: number }>('SELECT version FROM schema_versions ORDER BY 1')).map(
    ({ version }) => version,
  );
const open = () => openPostgresStore({ connectionString: testDatabase.url, log: silentLog, clock: Date.now });

test('eight servers that start at once migrate once', async () => {
  const stores = await Promise.all(Array.from({ length: 8 }, open));
  expect(await versions()).toEqual(migrations.map((_, i) => i + 1));
  await Promise.all(stores.map((store) => store.close()));
});

test('only new steps are applied', async () => {
  await migrate(database, ['CREATE TABLE a (x integer)']);
  await migrate(database, ['CREATE TABLE a (x integer)', 'CREATE TABLE b (x integer)']);
  expect(await versions()).toEqual([1, 2]);
});

test('a step that fails leaves nothing behind', async () => {
  await expect(migrate(database, ['CREATE TABLE a (x integer)', 'CREATE NONSENSE'])).rejects.toMatchObject({
    code: 'INTERNAL',
  });
  await migrate(database, ['CREATE TABLE a (x integer)']);
  expect(await versions()).toEqual([1]);
});

test('a database of a newer server is refused', async () => {
  await migrate(database);
  await database.query('INSERT INTO schema_versions (version) VALUES (999)');
  await expect(open()).rejects.toMatchObject({
    code: 'SCHEMA_NEWER',
    message: `database has schema version 999, this server knows ${migrations.length}`,
  });
});
