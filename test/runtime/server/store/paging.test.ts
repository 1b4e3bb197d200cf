// Pages that are taken while others write: whatever is created, changed, deleted and made anew between two pages and during them, what was there throughout
// comes exactly once, and nothing twice.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

let db: TestStore;
let other: Awaited<ReturnType<TestStore['openAnother']>>;
let runs = 0;
beforeAll(async () => {
  db = await createTestStore();
  other = await db.openAnother();
});
afterAll(() => db.drop());

interface Listed {
  /** Something new, whose name nobody had before. */
  create(name: string): Promise<unknown>;
  update(name: string): Promise<unknown>;
  remove(name: string): Promise<unknown>;
  page(size: number, token: string): Promise<{ readonly names: string[]; readonly nextPageToken: string }>;
}

/** Only those of one run: the filter is part of what is proved. */
function entries(run: string): Listed {
  const parentId = `spiffe://example.org/paging/${run}`;
  const draft = (name: string) => ({
    id: `${run}-${name}`,
    spiffeId: `spiffe://example.org/paged/${run}/${name}`,
    parentId,
    selectors: [{ type: 'unix', value: 'uid:1' }],
  });
  return {
    create: (name) => other.createEntries([draft(name)]),
    update: (name) => other.updateEntries([{ id: `${run}-${name}`, patch: { hint: 'changed' } }]),
    remove: (name) => other.deleteEntries([`${run}-${name}`]),
    async page(size, token) {
      const found = await db.store.listEntries({ byParentId: parentId }, { size, token });
      return { names: found.entries.map(({ id }) => id.slice(run.length + 1)), nextPageToken: found.nextPageToken };
    },
  };
}

function agents(run: string): Listed {
  const prefix = `spiffe://example.org/spire/agent/${run}/`;
  const record = (name: string, serial: string): AgentRecord => ({
    spiffeId: prefix + name,
    attestationType: run,
    x509SvidSerialNumber: serial,
    x509SvidExpiresAt: 5_000,
    newX509SvidSerialNumber: '',
    newX509SvidExpiresAt: 0,
    banned: false,
    canReattest: true,
    selectors: [{ type: 'x509pop', value: `subject:cn:${name}` }],
  });
  return {
    create: (name) => other.saveAgent(record(name, '1')),
    // It attests again: the record is written over.
    update: async (name) =>
      (await other.fetchAgent(prefix + name)) === undefined ? undefined : other.saveAgent(record(name, '2')),
    remove: (name) => other.deleteAgent(prefix + name),
    async page(size, token) {
      const found = await db.store.listAgents({ byAttestationType: run }, { size, token });
      return {
        names: found.agents.map(({ spiffeId }) => spiffeId.slice(prefix.length)),
        nextPageToken: found.nextPageToken,
      };
    },
  };
}

const write = fc.record({
  what: fc.constantFrom('create', 'update', 'remove', 'again'),
  /** Which of those that were there at first. */
  which: fc.nat(24),
});
const plan = fc.record({
  before: fc.integer({ min: 1, max: 25 }),
  size: fc.integer({ min: 1, max: 6 }),
  /** What is written while a page is read, page by page. */
  writes: fc.array(fc.array(write, { maxLength: 4 }), { maxLength: 25 }),
});

describe.each([
  ['entries', entries],
  ['agents', agents],
] as const)('pages of %s', (_, listOf) => {
  test('hold what was there throughout once, and nothing twice', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ before, size, writes }) => {
        const list = listOf(`run${(runs += 1)}`);
        const first = Array.from({ length: before }, (_unused, index) => `first-${index}`);
        for (const name of first) await list.create(name);
        const removed = new Set<string>();
        let made = 0;
        const act = async ({ what, which }: { what: string; which: number }): Promise<unknown> => {
          const name = first[which % before]!;
          if (what === 'create') return list.create(`later-${(made += 1)}`);
          if (what === 'update') return list.update(name).catch(() => undefined); // it may be gone
          removed.add(name);
          await list.remove(name);
          return what === 'again' ? list.create(name).catch(() => undefined) : undefined; // two may make it anew at once
        };
        const seen: string[] = [];
        let token = '';
        for (let page = 0; page === 0 || token !== ''; page += 1) {
          const [found] = await Promise.all([list.page(size, token), ...(writes[page] ?? []).map(act)]);
          seen.push(...found.names);
          token = found.nextPageToken;
        }
        const throughout = first.filter((name) => !removed.has(name));
        expect(seen.filter((name) => throughout.includes(name))).toEqual(throughout);
        const others = seen.filter((name) => !removed.has(name));
        expect(new Set(others).size).toBe(others.length);
      }),
      { numRuns: 60 },
    );
  });
});
