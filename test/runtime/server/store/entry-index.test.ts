import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EntryIndex } from '../../../../runtime/server/store/entry-index.ts';
import type { AgentRecord, EntryRecord } from '../../../../runtime/server/store/records.ts';

const server = 'spiffe://example.org/spire/server';
const agents = ['x', 'y', 'z'].map((name) => `spiffe://example.org/spire/agent/test/${name}`);
const nodes = ['a', 'b', 'c', 'd'].map((name) => `spiffe://example.org/${name}`);
const selectorsOf = (values: readonly string[]) => values.map((value) => ({ type: 'test', value }));

const entryOf = (id: string, spiffeId: string, parentId: string, values: readonly string[] = ['1']): EntryRecord => ({
  id,
  spiffeId,
  parentId,
  selectors: selectorsOf(values),
  x509SvidTtl: 0,
  jwtSvidTtl: 0,
  federatesWith: [],
  admin: false,
  downstream: false,
  storeSvid: false,
  expiresAt: 0,
  createdAt: 1,
  dnsNames: [],
  hint: '',
  revisionNumber: 0,
});
const agentOf = (spiffeId: string, values: readonly string[]): AgentRecord => ({
  spiffeId,
  attestationType: 'test',
  x509SvidSerialNumber: '1',
  x509SvidExpiresAt: 1,
  newX509SvidSerialNumber: '',
  newX509SvidExpiresAt: 0,
  banned: false,
  canReattest: false,
  selectors: selectorsOf(values),
});

type Act = (index: EntryIndex) => void;
const values = fc.subarray(['1', '2', '3']);
const act: fc.Arbitrary<Act> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e5', 'e6'),
      fc.constantFrom(...nodes),
      fc.constantFrom(server, ...agents, ...nodes),
      fc.subarray(['1', '2', '3'], { minLength: 1 }),
    )
    .map<Act>(
      ([id, spiffeId, parentId, held]) =>
        (index) =>
          index.setEntry(entryOf(id, spiffeId, parentId, held)),
    ),
  fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e5', 'e6').map<Act>((id) => (index) => index.removeEntry(id)),
  fc.tuple(fc.constantFrom(...agents), values).map<Act>(
    ([id, held]) =>
      (index) =>
        index.setAgent(agentOf(id, held)),
  ),
  fc.constantFrom(...agents).map<Act>((id) => (index) => index.removeAgent(id)),
);
const answersOf = (index: EntryIndex) => agents.map((id) => index.authorized(id, 0).list.map(({ id: own }) => own));

test('answers that are kept are those that an index without any would give, whatever changed', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const kept = new EntryIndex();
      const fresh = (done: number): EntryIndex => {
        const index = new EntryIndex();
        for (const one of acts.slice(0, done)) one(index);
        return index;
      };
      for (const [done, one] of acts.entries()) {
        one(kept);
        expect(answersOf(kept)).toEqual(answersOf(fresh(done + 1)));
      }
    }),
    { numRuns: 300 },
  );
});

test('an entry that changes below one agent leaves the answers of others as they are', () => {
  const index = new EntryIndex();
  const [x = '', y = ''] = agents;
  index.setEntry(entryOf('mine', nodes[0]!, x));
  index.setEntry(entryOf('theirs', nodes[1]!, y));
  const before = [index.authorized(x, 0), index.authorized(y, 0)];
  index.setEntry({ ...entryOf('mine', nodes[0]!, x), hint: 'changed' });
  expect(index.authorized(x, 0)).not.toBe(before[0]);
  expect(index.authorized(y, 0)).toBe(before[1]);
});

test('an alias that comes, goes or changes is seen by the agents with its selectors, and costs others nothing', () => {
  const index = new EntryIndex();
  const [x = '', y = ''] = agents;
  index.setAgent(agentOf(x, ['1', '2']));
  index.setAgent(agentOf(y, ['2']));
  index.setEntry(entryOf('below', nodes[1]!, nodes[0]!));
  const ids = (agent: string) => index.authorized(agent, 0).list.map(({ id }) => id);
  expect([ids(x), ids(y)]).toEqual([[], []]);
  const theirs = index.authorized(y, 0);
  index.setEntry(entryOf('alias', nodes[0]!, server, ['1']));
  expect(ids(x)).toEqual(['below']);
  index.setEntry(entryOf('deeper', nodes[2]!, nodes[1]!));
  expect(ids(x)).toEqual(['below', 'deeper']);
  index.removeEntry('alias');
  expect(ids(x)).toEqual([]);
  expect(index.authorized(y, 0)).toBe(theirs);
});

test('several entries of one SPIFFE ID are all found, and none once all are gone', () => {
  const index = new EntryIndex();
  const ids = () => [...index.entriesFor(nodes[0]!)].map(({ id }) => id).toSorted();
  for (const id of ['e1', 'e2', 'e3']) index.setEntry(entryOf(id, nodes[0]!, agents[0]!, [id]));
  expect(ids()).toEqual(['e1', 'e2', 'e3']);
  index.removeEntry('e1');
  index.removeEntry('e3');
  expect(ids()).toEqual(['e2']);
  index.removeEntry('e2');
  expect(ids()).toEqual([]);
});
