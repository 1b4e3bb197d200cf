import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { createMovableClock, createTestAuthority, hourMs } from '../../../support/authorities.ts';
import type { MovableClock } from '../../../support/authorities.ts';
import { eventually } from '../../../support/eventually.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { upstreamOf } from '../../../support/upstreams.ts';

let db: TestStore;
let clock: MovableClock;
const opened: CertificateAuthority[] = [];
beforeEach(async () => {
  clock = createMovableClock();
  db = await createTestStore(clock);
});
afterEach(async () => {
  for (const ca of opened.splice(0).reverse()) await ca.close();
  await db.drop();
});

test('of three servers one prunes, every six and every eight hours', async () => {
  const pruned: string[] = [];
  const looks = new Map<string, number>();
  for (const name of ['one', 'other', 'third']) {
    const store = await db.openAnother();
    const counting: Store = {
      ...store,
      pruneBundle(trustDomain, expiredBefore) {
        pruned.push('bundle');
        return store.pruneBundle(trustDomain, expiredBefore);
      },
      pruneCaJournals(expiredBefore) {
        pruned.push('journals');
        return store.pruneCaJournals(expiredBefore);
      },
      async claimTask(task, now, everyMs) {
        const isClaimed = await store.claimTask(task, now, everyMs);
        looks.set(name, (looks.get(name) ?? 0) + 1);
        return isClaimed;
      },
    };
    opened.push(await createTestAuthority({ store: counting, clock }));
  }
  expect(pruned).toEqual([]);
  clock.advance(6 * hourMs);
  await eventually(() => expect([...looks.values()]).toEqual([1, 1, 1]));
  expect(pruned).toEqual(['bundle']);
  clock.advance(2 * hourMs);
  await eventually(() => expect([...looks.values()]).toEqual([2, 2, 2]));
  expect(pruned).toEqual(['bundle', 'journals']);
  clock.advance(4 * hourMs);
  await eventually(() => expect([...looks.values()]).toEqual([3, 3, 3]));
  expect(pruned).toEqual(['bundle', 'journals', 'bundle']);
});

test('a server is not healthy after more than ten failed rotations in a row, and healthy again after one that succeeds', async () => {
  const above = await createTestStore(clock);
  const root = await createTestAuthority({ store: above.store, clock, config: { caTtl: 1000 * hourMs } });
  const upstream = upstreamOf(root);
  const ca = await createTestAuthority({ store: db.store, clock, upstream });
  opened.push(ca);
  await ca.checkRotation();
  upstream.reachable = false;
  clock.advance(13 * hourMs);
  await eventually(() =>
    expect(ca.checkRotation()).rejects.toMatchObject({
      code: 'NOT_READY',
      message: 'rotations exceed the threshold number of failures',
    }),
  );
  upstream.reachable = true;
  await eventually(() => ca.checkRotation());
  expect(ca.x509.states().prepared).toBeDefined();
  await opened.pop()!.close();
  await root.close();
  await above.drop();
});
