import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore();
});
afterAll(() => db.drop());

test('a token taken by 32 at once, on two servers, is given to one', async () => {
  const other = await db.openAnother();
  await db.store.createJoinToken({ token: 'once', expiresAt: 1_000 });
  const taken = await Promise.all(
    Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? db.store : other).takeJoinToken('once')),
  );
  expect(taken.filter((token) => token !== undefined)).toEqual([{ token: 'once', expiresAt: 1_000 }]);
});

test('an unknown token is not there', async () => {
  expect(await db.store.takeJoinToken('unknown')).toBeUndefined();
});

test('a token is created once', async () => {
  await db.store.createJoinToken({ token: 'twice', expiresAt: 1_000 });
  await expect(db.store.createJoinToken({ token: 'twice', expiresAt: 2_000 })).rejects.toMatchObject({
    code: 'CONFLICT',
  });
});

test('a token of bytes that cannot be stored is refused, not shortened', async () => {
  await expect(db.store.createJoinToken({ token: 'a\0b', expiresAt: 1 })).rejects.toMatchObject({ code: 'INVALID' });
  await expect(db.store.takeJoinToken('a\0b')).rejects.toMatchObject({ code: 'INVALID' });
});

test('pruning takes expired tokens', async () => {
  await db.store.createJoinToken({ token: 'old', expiresAt: 10 });
  expect(await db.store.pruneJoinTokens(11)).toBe(1);
});
