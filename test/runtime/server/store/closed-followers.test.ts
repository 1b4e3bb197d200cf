// A server may be told to stop while its database is away: what follows the store must not go on asking it for ever.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLiveBundle } from '../../../../runtime/server/ca/live-bundle.ts';
import { openAuthorizedEntries } from '../../../../runtime/server/store/authorized-entries.ts';
import type { StoreChange } from '../../../../runtime/server/store/records.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { trustDomain } from '../../../support/authorities.ts';
import { silentLog } from '../../../support/stores.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Answers until it is away; counts what it is asked then. */
function createStore() {
  let [isAway, asked] = [false, 0];
  let tell: ((change: StoreChange) => void) | undefined;
  const answer = async <T>(value: T): Promise<T> => {
    if (!isAway) return value;
    asked += 1;
    await Promise.resolve();
    throw new Error('away');
  };
  async function* pages(): AsyncGenerator<never[]> {
    yield await answer([]);
  }
  const store: Pick<Store, 'allEntries' | 'allAgents' | 'fetchEntries' | 'fetchAgents' | 'fetchBundle' | 'watch'> = {
    allEntries: () => pages(),
    allAgents: () => pages(),
    fetchEntries: () => answer([]),
    fetchAgents: () => answer([]),
    fetchBundle: () => answer(undefined),
    watch: (listener) => {
      tell = listener;
      return () => undefined;
    },
  };
  return {
    store,
    asked: () => asked,
    change(change: StoreChange): void {
      isAway = true;
      tell?.(change);
    },
  };
}

const followers = {
  'the bundle': async ({ store }: ReturnType<typeof createStore>) =>
    createLiveBundle(store as Store, trustDomain, silentLog),
  'the entries': ({ store }: ReturnType<typeof createStore>) =>
    openAuthorizedEntries({ store, log: silentLog, clock: Date.now }),
};

test.each(Object.entries(followers))('who follows %s asks again until it is closed', async (_, follow) => {
  const world = createStore();
  const follower = await follow(world);
  world.change({ kind: 'reset' });
  await vi.advanceTimersByTimeAsync(3_500);
  expect(world.asked()).toBeGreaterThan(3);
  await vi.advanceTimersByTimeAsync(500); // the next question is on its way
  follower.close();
  const before = world.asked();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(world.asked()).toBe(before);
});

test.each(Object.entries(followers))(
  'who follows %s and is closed over a question asks no other',
  async (_, follow) => {
    const world = createStore();
    const follower = await follow(world);
    world.change({ kind: 'reset' });
    follower.close();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(world.asked()).toBeLessThan(3);
  },
);
