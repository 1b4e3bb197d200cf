import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../../../runtime/server/store/database.ts';
import type { Database } from '../../../../runtime/server/store/database.ts';
import { migrate } from '../../../../runtime/server/store/migrate.ts';
import { migrations, oldestCompatible } from '../../../../runtime/server/store/migrations.ts';
import { createEntryStore } from '../../../../runtime/server/store/entry-store.ts';
import { openPostgresStore } from '../../../../runtime/server/store/postgres-store.ts';
import { createTestDatabase } from '../../../support/postgres.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { silentLog } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

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

test('a newer schema that its server noted as compatible is left as it is, and worked with', async () => {
  await migrate(database);
  const { length } = migrations;
  await database.query('INSERT INTO schema_versions (version, oldest_compatible) VALUES ($1, $2)', [
    length + 1,
    length,
  ]);
  const store = await open();
  await store.createJoinToken({ token: 'a', expiresAt: 1 });
  await store.close();
  expect((await versions()).at(-1)).toBe(length + 1);

  await database.query('INSERT INTO schema_versions (version, oldest_compatible) VALUES ($1, $2)', [
    length + 2,
    length + 1,
  ]);
  await expect(open()).rejects.toMatchObject({ code: 'SCHEMA_NEWER' });
});

test('a server that runs goes on while a newer one migrates', async () => {
  const steps = migrations.slice(0, oldestCompatible);
  await migrate(database, steps);
  const entry = (id: string) => ({
    id,
    spiffeId: `spiffe://example.org/${id}`,
    parentId: 'spiffe://example.org/p',
    selectors: [{ type: 'unix', value: 'uid:1' }],
  });
  const entries = createEntryStore(database, Date.now);
  await entries.createEntry(entry('before'));
  await migrate(database);
  await entries.createEntry(entry('after'));
  const changes = await database.query('SELECT kind, subject FROM changes ORDER BY revision');
  expect(changes).toEqual(['before', 'after'].map((subject) => ({ kind: 'entry', subject })));
});

test('each statement notes every row that it changed, and tells of it once; one that changed none tells nothing', async () => {
  await migrate(database);
  const told: string[] = [];
  const listener = database.createClient();
  await listener.connect();
  await listener.query('LISTEN espalier_changes');
  listener.on('notification', ({ channel }) => told.push(channel));
  const agents = ['a', 'b', 'c'].map((name) => `('${name}', 'x', '', 0, '', 0, false, true, '{}')`).join(', ');
  await database.query(`INSERT INTO agents (spiffe_id, attestation_type, x509_svid_serial_number, x509_svid_expires_at,
    new_x509_svid_serial_number, new_x509_svid_expires_at, banned, can_reattest, selectors) VALUES ${agents}`);
  await database.query("UPDATE agents SET banned = true WHERE spiffe_id <> 'a'");
  await database.query("UPDATE agents SET banned = true WHERE spiffe_id = 'nobody'");
  await database.query("DELETE FROM agents WHERE spiffe_id <> 'b'");
  const changes = await database.query<{ subject: string }>('SELECT subject FROM changes ORDER BY revision');
  expect(changes.map(({ subject }) => subject)).toEqual(['a', 'b', 'c', 'b', 'c', 'a', 'c']);
  await eventually(() => expect(told).toHaveLength(3));
  await listener.query('SELECT 1');
  expect(told).toHaveLength(3);
  await listener.end();
});

test.each(['registered_entries', 'attested_node_entries'])(
  'a database with SPIRE’s table %s is refused and left alone',
  async (table) => {
    await database.query(`CREATE TABLE ${table} (id integer)`);
    await expect(open()).rejects.toMatchObject({
      code: 'FOREIGN_SCHEMA',
      message: `database holds data of SPIRE (${table}), which is not taken over: give this server a database of its own`,
    });
    const tables = await database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    expect(tables).toEqual([{ tablename: table }]);
  },
);

test('with migration disabled an empty or older schema is refused and left alone, and one that was migrated is used', async () => {
  const openAsIs = () =>
    openPostgresStore({ connectionString: testDatabase.url, log: silentLog, clock: Date.now, disableMigration: true });
  const { length } = migrations;
  const refusal = (version: number) => ({
    code: 'SCHEMA_OLDER',
    message: `database has schema version ${version}, this server needs ${length}, and disable_migration is set`,
  });
  await expect(openAsIs()).rejects.toMatchObject(refusal(0));
  expect(await database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).toEqual([]);
  await migrate(database, migrations.slice(0, -1));
  await expect(openAsIs()).rejects.toMatchObject(refusal(length - 1));
  expect(await versions()).toHaveLength(length - 1);
  await migrate(database);
  await (await openAsIs()).close();
});
