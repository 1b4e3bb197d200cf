import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openAuthorizedEntries } from '../../../../runtime/server/store/authorized-entries.ts';
import type { AuthorizedEntries } from '../../../../runtime/server/store/authorized-entries.ts';
import type { AgentRecord, EntryDraft } from '../../../../runtime/server/store/records.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { createMovableClock } from '../../../support/authorities.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

const server = 'spiffe://example.org/spire/server';
const agentId = 'spiffe://example.org/spire/agent/aws_iid/1';
const aws = (value: string) => ({ type: 'aws_iid', value });
const agent: AgentRecord = {
  spiffeId: agentId,
  attestationType: 'aws_iid',
  x509SvidSerialNumber: '1',
  x509SvidExpiresAt: 2_000_000_000,
  newX509SvidSerialNumber: '',
  newX509SvidExpiresAt: 0,
  banned: false,
  canReattest: false,
  selectors: [aws('az:a'), aws('tag:x')],
};

const clock = createMovableClock();
let db: TestStore;
let other: Store;
let cache: AuthorizedEntries;
beforeEach(async () => {
  db = await createTestStore(clock);
  other = await db.openAnother();
  cache = await openAuthorizedEntries({
    store: db.store,
    log: silentLog,
    clock,
  });
});
afterEach(async () => {
  cache.close();
  await db.drop();
});

/** Written by the other server: whatever the cache knows came over the database. */
const create = async (name: string, parentId: string, more: Partial<EntryDraft> = {}) => {
  const selectors = [{ type: 'unix', value: `user:${name}` }];
  const { entry } = await other.createEntry({
    id: name,
    spiffeId: `spiffe://example.org/${name}`,
    parentId,
    selectors,
    ...more,
  });
  return entry;
};
const ids = () => cache.authorizedEntries(agentId).map(({ id }) => id);
const expectIds = (expected: string[]) => eventually(() => expect(ids()).toEqual(expected));

test('an entry made on another server is there, and gone when it is deleted', async () => {
  const entry = await create('direct', agentId);
  await eventually(() => expect(ids()).toEqual(['direct']));
  expect(cache.authorizedEntry(agentId, 'direct')).toEqual(entry);
  await other.deleteEntry('direct');
  await expectIds([]);
  expect(cache.authorizedEntry(agentId, 'direct')).toBeUndefined();
});

describe('a node alias', () => {
  beforeEach(async () => {
    await create('node', server, { selectors: [aws('az:a')] });
    await create('strict', server, { selectors: [aws('az:a'), aws('tag:y')] });
    await create('on-node', 'spiffe://example.org/node');
    await create('on-strict', 'spiffe://example.org/strict');
    await other.saveAgent(agent);
  });

  test('gives its entries to the agents that have all its selectors, itself excepted', async () => {
    await expectIds(['on-node']);
  });

  test('is lost with the selectors', async () => {
    await expectIds(['on-node']);
    await other.updateAgent(agentId, { selectors: [aws('tag:y')] });
    await expectIds([]);
  });

  test('is won with the selectors', async () => {
    await other.updateAgent(agentId, { selectors: [aws('az:a'), aws('tag:y')] });
    await expectIds(['on-node', 'on-strict']);
  });

  test('is lost with the agent', async () => {
    await expectIds(['on-node']);
    await other.deleteAgent(agentId);
    await expectIds([]);
    expect(cache.agent(agentId)).toBeUndefined();
  });
});

test('entries below entries are included, in circles too', async () => {
  await create('a', agentId);
  await create('b', 'spiffe://example.org/a');
  await create('c', 'spiffe://example.org/b');
  await create('a2', 'spiffe://example.org/c', { spiffeId: 'spiffe://example.org/a' });
  await expectIds(['a', 'a2', 'b', 'c']);
});

test('an entry that moves to another parent is lost to the first', async () => {
  await create('moving', agentId);
  await expectIds(['moving']);
  await other.updateEntry('moving', { parentId: 'spiffe://example.org/elsewhere' });
  await expectIds([]);
});

test('an expired entry is no longer served, before anything prunes it', async () => {
  await create('short', agentId, { expiresAt: Math.floor(clock() / 1000) + 60 });
  await expectIds(['short']);
  clock.advance(61_000);
  expect(ids()).toEqual([]);
});

test('admin and downstream are told by SPIFFE ID', async () => {
  await create('boss', agentId, { admin: true });
  await create('below', agentId, { downstream: true });
  await expectIds(['below', 'boss']);
  const id = (name: string) => `spiffe://example.org/${name}`;
  expect([cache.isAdmin(id('boss')), cache.isDownstream(id('boss'))]).toEqual([true, false]);
  expect([cache.isAdmin(id('below')), cache.isDownstream(id('below'))]).toEqual([false, true]);
  expect(cache.isAdmin(id('nobody'))).toBe(false);
});

test('5,000 entries cost nothing when asked again', async () => {
  const entry = await create('template', 'spiffe://example.org/elsewhere');
  const many = Array.from({ length: 5_000 }, (_, i) => ({ ...entry, id: `e${i}`, parentId: agentId }));
  async function* allEntries() {
    for (let start = 0; start < many.length; start += 500) yield many.slice(start, start + 500);
  }
  const store = { ...db.store, allEntries };
  const large = await openAuthorizedEntries({
    store,
    log: silentLog,
    clock,
  });
  const first = large.authorizedEntries(agentId);
  expect(first).toHaveLength(5_000);
  expect(large.authorizedEntries(agentId)).toBe(first);
  large.close();
});
