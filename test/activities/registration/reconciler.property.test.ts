// Whatever the objects and whatever the server has: after a round what is wanted stands, what is somebody else's is untouched, and another round does
// nothing.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createOwnership } from '../../../activities/registration/entries/ownership.ts';
import { differences } from '../../../activities/registration/entries/wanted-entry.ts';
import type { CurrentEntry, DeclaredEntry } from '../../../activities/registration/entries/wanted-entry.ts';
import { createReconciler } from '../../../activities/registration/reconcile/reconciler.ts';
import { createFakeRegistrationServer } from '../../fakes/fake-registration-server.ts';
import { by, current, declared } from './wanted.ts';

const clusters = ['demo', 'prod', 'away'];
const more = fc.record({
  hint: fc.constantFrom('', 'a', 'b'),
  x509SvidTtl: fc.constantFrom(0, 60),
  dnsNames: fc.subarray(['x', 'y', 'z']),
  admin: fc.boolean(),
});
const path = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
const wanted = fc.record({
  path,
  cluster: fc.constantFrom('demo', 'prod'),
  who: fc.constantFrom('one', 'two', 'three'),
  createdAt: fc.nat(2),
  more,
});
const owners = ['registration.demo', 'registration.prod', 'registration.away', 'registration.other', 'theirs', ''];
const there = fc.record({ path, owner: fc.constantFrom(...owners), more });

it('holds for any objects and any server', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(wanted, { maxLength: 20 }),
      fc.uniqueArray(there, { selector: (one) => one.path }),
      async (asked, state) => {
        const all = asked.map((one) =>
          declared(
            one.path,
            by(one.who, { cluster: one.cluster, createdAt: one.createdAt, uid: `${one.cluster}-${one.who}` }),
            one.more,
          ),
        );
        const before = state.map(({ path: name, owner, more: its }, i) =>
          current(owner === '' ? `id-${i}` : `${owner}.id-${i}`, name, its),
        );
        const { reconciler, server } = setUp(all, before);
        await reconciler.round();
        checkOutcome(all, before, [...server.entries.values()]);
        const after = JSON.stringify([...server.entries]);
        const { applied } = await reconciler.round();
        expect([applied.created, applied.updated, applied.removed, JSON.stringify([...server.entries])]).toEqual([
          0,
          0,
          0,
          after,
        ]);
      },
    ),
    { numRuns: 300 },
  );
});

function setUp(all: readonly DeclaredEntry[], before: readonly CurrentEntry[]) {
  const server = createFakeRegistrationServer();
  for (const entry of before) server.put(entry.id, entry);
  let ids = 0;
  const reconciler = createReconciler({
    server,
    clusters: clusters.map((name) => ({
      name,
      federates: false,
      view: () =>
        name === 'away'
          ? undefined
          : { declared: all.filter((one) => one.by.cluster === name), relationships: [], resources: [], faults: [] },
      writeStatuses: async () => undefined,
    })),
    ledger: { read: async () => ({}), write: async () => undefined },
    ownerOf: createOwnership({
      entryIdPrefix: 'registration',
      trustDomain: 'example.org',
      clusters: clusters.map((name) => ({ name })),
    }),
    entryIdPrefix: 'registration',
    takesOver: false,
    guard: { share: 1, always: 0, accepted: new Set() },
    dryRun: false,
    relistMs: 0, // every round lists
    clock: () => 0,
    createUuid: () => `new-${(ids += 1)}`,
    say: () => undefined,
  });
  return { reconciler, server };
}

function checkOutcome(
  all: readonly DeclaredEntry[],
  before: readonly CurrentEntry[],
  after: readonly CurrentEntry[],
): void {
  const isOurs = ({ id }: CurrentEntry) => /^registration\.(demo|prod)\./.test(id);
  const isEditable = ({ id }: CurrentEntry) => /^registration\.(demo|prod|away)\./.test(id);
  const keys = new Set(all.map(({ entry }) => entry.key));
  // Nobody else's entry was touched, nor one of a cluster that is not known and that nobody else wants.
  for (const entry of before.filter((one) => !isEditable(one) || (!isOurs(one) && !keys.has(one.key))))
    expect(after).toContainEqual(entry);
  // Nothing of ours is left that nobody wants, and each key is there once.
  expect(after.filter((one) => isOurs(one) && !keys.has(one.key))).toEqual([]);
  expect(new Set(after.map(({ key }) => key)).size).toBe(after.length);
  for (const key of keys) {
    const stands = after.find((one) => one.key === key);
    if (stands === undefined) throw new Error(`${key} does not stand`);
    const rivals = all.filter(({ entry }) => entry.key === key);
    const oldest = Math.min(...rivals.map(({ by: who }) => who.createdAt));
    const preferred = rivals.filter(({ by: who }) => who.createdAt === oldest);
    if (isEditable(stands)) expect(preferred.some(({ entry }) => differences(entry, stands).length === 0)).toBe(true);
  }
}
