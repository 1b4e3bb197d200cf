// The one test that stops a PostgreSQL has one of its own.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPostgresStore } from '../../../../runtime/server/store/postgres-store.ts';
import type { StoreChange } from '../../../../runtime/server/store/records.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { startPostgres } from '../../../support/postgres-server.ts';
import type { PostgresServer } from '../../../support/postgres-server.ts';
import { silentLog } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

let postgres: PostgresServer;
let store: Store;
let other: Store;
beforeAll(async () => {
  postgres = await startPostgres();
  const open = () =>
    openPostgresStore({ connectionString: postgres.url, log: silentLog, clock: Date.now, pollMs: 600_000 });
  [store, other] = await Promise.all([open(), open()]);
});
afterAll(async () => {
  await Promise.all([store.close(), other.close()]);
  await postgres.remove();
});

const token = (name: string) => ({ token: name, expiresAt: 1 });
const createEntry = (id: string) => {
  const spiffeId = `spiffe://example.org/${id}`;
  return other.createEntry({
    id,
    spiffeId,
    parentId: 'spiffe://example.org/p',
    selectors: [{ type: 'unix', value: 'uid:1' }],
  });
};

test('a restart of the database is survived: calls wait for it, and notifications go on', async () => {
  const seen: StoreChange[] = [];
  store.watch((change) => seen.push(change));
  const seenIds = () => seen.map((change) => (change.kind === 'reset' ? 'reset' : change.id));
  await createEntry('before');
  await eventually(() => expect(seenIds()).toContain('before'));
  await store.createJoinToken(token('kept'));

  await postgres.stop();
  const waiting = store.takeJoinToken('kept');
  await sleep(300);
  await postgres.start();
  expect(await waiting).toEqual(token('kept'));

  await createEntry('after');
  // By notification over a new connection: the poll is ten minutes away.
  await eventually(() => expect(seenIds()).toContain('after'));
  expect(seenIds().filter((id) => id === 'after')).toHaveLength(1);
}, 60_000);

test('a database that stays away is UNAVAILABLE, in bounded time', async () => {
  await postgres.stop();
  const started = Date.now();
  await expect(store.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(Date.now() - started).toBeLessThan(30_000);
  await postgres.start();
  await store.ping();
}, 60_000);
