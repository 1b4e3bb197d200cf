// A copy of the database, which knows of no transaction after it was made, stands for a replica that lags behind.
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../../../runtime/server/store/database.ts';
import type { Database, NamedStatement, Query } from '../../../../runtime/server/store/database.ts';
import { entryOfRow } from '../../../../runtime/server/store/entry-row.ts';
import { createEntryStore } from '../../../../runtime/server/store/entry-store.ts';
import { openPostgresStore } from '../../../../runtime/server/store/postgres-store.ts';
import type { EntryRecord } from '../../../../runtime/server/store/records.ts';
import { allRowsByReplica } from '../../../../runtime/server/store/replica-reads.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { createTestDatabase } from '../../../support/postgres.ts';
import { silentLog } from '../../../support/stores.ts';

const open = async (connectionString: string, readOnlyConnectionString?: string): Promise<Store> => {
  const replica = readOnlyConnectionString === undefined ? {} : { readOnlyConnectionString };
  return openPostgresStore({ connectionString, ...replica, log: silentLog, clock: Date.now });
};
const query = async (connectionString: string, statement: string): Promise<Record<string, string>[]> => {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const { rows } = await client.query(statement);
  await client.end();
  return rows as Record<string, string>[];
};
const draft = (id: string) => ({
  id,
  spiffeId: `spiffe://example.org/${id}`,
  parentId: 'spiffe://example.org/p',
  selectors: [{ type: 'unix', value: 'uid:1' }],
});
const entriesOf = async (store: Pick<Store, 'allEntries'>): Promise<string[]> => {
  const found: string[] = [];
  for await (const page of store.allEntries()) found.push(...page.map(({ id, hint }) => `${id} ${hint}`));
  return found.toSorted();
};

/** Three entries in both databases, of which the copy's are marked as its own. */
async function databaseWithReplica() {
  const database = await createTestDatabase();
  const store = await open(database.url);
  await store.createEntries(['a', 'b', 'c'].map(draft));
  await store.close();
  const [url, admin] = [new URL(database.url), new URL(database.url)];
  const copy = `${url.pathname.slice(1)}_copy`;
  admin.pathname = '/postgres';
  await query(admin.href, `CREATE DATABASE ${copy} TEMPLATE ${url.pathname.slice(1)}`);
  url.pathname = `/${copy}`;
  await query(url.href, "UPDATE entries SET hint = 'of the replica'");
  const [now] = await query(admin.href, 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon');
  onTestFinished(async () => {
    await query(admin.href, `DROP DATABASE ${copy} WITH (FORCE)`);
    await database.drop();
  });
  return { url: database.url, replicaUrl: url.href, horizon: now?.['horizon'] };
}

test('what has not changed comes from the replica, and what it does not have yet from the database', async () => {
  const { url, replicaUrl, horizon } = await databaseWithReplica();
  const writer = await open(url);
  await writer.deleteEntry('b');
  await writer.updateEntry('c', { hint: 'changed' });
  await writer.createEntry({ ...draft('d'), hint: 'new' });
  await writer.close();

  const [database, copy] = [url, replicaUrl].map((one) => openDatabase({ url: one, log: silentLog })) as [
    Database,
    Database,
  ];
  const asked: string[] = [];
  const query: Query = async <Row>(statement: string | NamedStatement, values?: readonly unknown[]) => {
    asked.push(typeof statement === 'string' ? statement : statement.name);
    // The two are in one cluster, so the copy would show the transactions of both as ended.
    return asked.length === 1 ? ([{ horizon }] as Row[]) : copy.query<Row>(statement, values);
  };
  const entries = createEntryStore(database, Date.now);
  const table = {
    name: 'entries',
    kind: 'entry',
    recordOf: entryOfRow,
    keyOf: ({ id }: EntryRecord) => id,
    fetch: (ids: readonly string[]) => entries.fetchEntries(ids),
  } as const;
  const reads = { database, replica: { ...copy, query }, log: silentLog };
  expect(await entriesOf({ allEntries: () => allRowsByReplica<EntryRecord>(reads, table) })).toEqual([
    'a of the replica',
    'c changed',
    'd new',
  ]);
  expect(asked).toEqual(['SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon', 'all-entries']);
  await Promise.all([database.close(), copy.close()]);
});

test('a store with a replica fills caches from it', async () => {
  const { url, replicaUrl } = await databaseWithReplica();
  const store = await open(url, replicaUrl);
  expect(await entriesOf(store)).toEqual(['a of the replica', 'b of the replica', 'c of the replica']);
  await store.close();
});

test('reads that must be current, and writes, go past the replica', async () => {
  const { url, replicaUrl } = await databaseWithReplica();
  const store = await open(url, replicaUrl);
  expect((await store.fetchEntry('a'))?.hint).toBe('');
  expect((await store.listEntries({})).entries.map(({ hint }) => hint)).toEqual(['', '', '']);
  await store.createEntry(draft('e'));
  expect(await store.countEntries({})).toBe(4);
  await store.close();
});

test('a replica that does not answer is passed over', async () => {
  const { url } = await databaseWithReplica();
  const nowhere = new URL(url);
  nowhere.pathname = '/nowhere';
  const store = await open(url, nowhere.href);
  expect(await entriesOf(store)).toEqual(['a ', 'b ', 'c ']);
  await store.close();
});
