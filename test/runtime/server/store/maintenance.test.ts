import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore();
});
afterAll(() => db.drop());

test('of eight servers at once, one is told to do a task', async () => {
  const stores = await Promise.all(Array.from({ length: 8 }, () => db.openAnother()));
  const told = await Promise.all(stores.map((store) => store.claimTask('once', 1_000, 500)));
  expect(told.filter(Boolean)).toHaveLength(1);
});

test('a task is done again after its time, and not before', async () => {
  expect(await db.store.claimTask('again', 1_000, 500)).toBe(true);
  expect(await db.store.claimTask('again', 1_499, 500)).toBe(false);
  expect(await db.store.claimTask('other', 1_499, 500)).toBe(true);
  expect(await db.store.claimTask('again', 1_500, 500)).toBe(true);
});
