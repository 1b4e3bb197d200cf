import { afterEach, beforeEach, expect, test } from 'vitest';
import { openChangeFeed } from '../../../../runtime/server/store/change-feed.ts';
import type { ChangeFeed } from '../../../../runtime/server/store/change-feed.ts';
import { openDatabase } from '../../../../runtime/server/store/database.ts';
import type { Database } from '../../../../runtime/server/store/database.ts';
import { migrate } from '../../../../runtime/server/store/migrate.ts';
import { createTestDatabase } from '../../../support/postgres.ts';
import type { TestDatabase } from '../../../support/postgres.ts';
import { silentLog } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

const never = 3_600_000;

let testDatabase: TestDatabase;
let database: Database;
let feed: ChangeFeed | undefined;
let seen: string[];
let now: number;
beforeEach(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, log: silentLog });
  await migrate(database);
  [seen, now] = [[], Date.now()];
});
afterEach(async () => {
  await feed?.close();
  await database.close();
  await testDatabase.drop();
});

async function open(pollMs: number): Promise<void> {
  feed = await openChangeFeed({ database, log: silentLog, clock: () => now, pollMs });
  feed.watch((change) => seen.push(change.kind === 'reset' ? 'reset' : change.id));
}
const addAgent = (id: string) =>
  database.query(
    `INSERT INTO agents (spiffe_id, attestation_type, x509_svid_serial_number, x509_svid_expires_at,
       new_x509_svid_serial_number, new_x509_svid_expires_at, banned, can_reattest, selectors)
     VALUES ($1, 'x', '', 0, '', 0, false, true, '{}')`,
    [id],
  );
/** As a change whose notification was lost. */
const noteSilently = (subject: string, at = 'now()') =>
  database.query(`INSERT INTO changes (kind, subject, at) VALUES ('agent', $1, ${at})`, [subject]);
const listeners = () =>
  database.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN espalier_changes'`,
  );

test('a change is told at once, by notification', async () => {
  await open(never);
  await addAgent('a');
  await eventually(() => expect(seen).toEqual(['a']));
});

test('a listening connection that the database ends is replaced, and what came meanwhile is told', async () => {
  await open(never);
  await eventually(async () => expect(await listeners()).toHaveLength(1));
  const [before] = await listeners();
  await database.query('SELECT pg_terminate_backend($1)', [before?.pid]);
  await addAgent('meanwhile');
  await eventually(() => expect(seen).toContain('meanwhile'));
  await eventually(async () => expect((await listeners()).filter(({ pid }) => pid !== before?.pid)).toHaveLength(1));
  await addAgent('after');
  await eventually(() => expect(seen).toEqual(['meanwhile', 'after']));
});

test('a change whose notification was lost is told by the next poll, once', async () => {
  await open(50);
  await noteSilently('silent');
  await eventually(() => expect(seen).toEqual(['silent']));
  await noteSilently('next');
  await eventually(() => expect(seen).toEqual(['silent', 'next']));
});

test('a transaction that ends after a later one is not passed over', async () => {
  await open(50);
  await database.transaction(async (slow) => {
    await slow("INSERT INTO changes (kind, subject) VALUES ('agent', 'slow')");
    await noteSilently('quick');
    await eventually(() => expect(seen).toEqual(['quick']));
  });
  await eventually(() => expect(seen).toEqual(['quick', 'slow']));
});

test('changes are kept for twelve hours', async () => {
  await noteSilently('old', "now() - interval '13 hours'");
  await noteSilently('young', "now() - interval '11 hours'");
  await open(50);
  const subjects = async () =>
    (await database.query<{ subject: string }>('SELECT subject FROM changes')).map(({ subject }) => subject);
  await eventually(async () => expect(await subjects()).toEqual(['young']));
});

test('whoever was away for so long that changes may be gone is told to read everything again', async () => {
  await open(50);
  await noteSilently('before');
  await eventually(() => expect(seen).toEqual(['before']));
  now += 7 * 3_600_000;
  await eventually(() => expect(seen).toEqual(['before', 'reset']));
});
