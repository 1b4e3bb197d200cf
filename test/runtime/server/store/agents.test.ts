import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

const agent = (name: string, more: Partial<AgentRecord> = {}): AgentRecord => ({
  spiffeId: `spiffe://example.org/spire/agent/x509pop/${name}`,
  attestationType: 'x509pop',
  x509SvidSerialNumber: '1',
  x509SvidExpiresAt: 5_000,
  newX509SvidSerialNumber: '',
  newX509SvidExpiresAt: 0,
  banned: false,
  canReattest: true,
  selectors: [{ type: 'x509pop', value: `subject:cn:${name}` }],
  ...more,
});

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore();
});
afterAll(() => db.drop());

test('a further attestation replaces what the first recorded', async () => {
  await db.store.saveAgent(agent('again'));
  const second = agent('again', { x509SvidSerialNumber: '2', selectors: [{ type: 'x509pop', value: 'new' }] });
  await db.store.saveAgent(second);
  expect(await db.store.fetchAgent(second.spiffeId)).toEqual(second);
});

test('only the first of 16 attestations at once is new', async () => {
  const attempts = await Promise.allSettled(
    Array.from({ length: 16 }, () => db.store.saveAgent(agent('first'), { onlyNew: true })),
  );
  expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const refused = attempts.filter((attempt) => attempt.status === 'rejected');
  expect(new Set(refused.map(({ reason }) => (reason as { code: string }).code))).toEqual(new Set(['CONFLICT']));
});

describe('a banned agent', () => {
  const banned = agent('banned', { newX509SvidSerialNumber: '2' });
  beforeAll(async () => {
    await db.store.saveAgent(banned);
    await db.store.banAgent(banned.spiffeId);
  });

  test('has no serial number any more', async () => {
    expect(await db.store.fetchAgent(banned.spiffeId)).toMatchObject({ banned: true, x509SvidSerialNumber: '' });
  });

  test.each([{ onlyNew: true }, { onlyNew: false }])('cannot attest again (%o)', async (options) => {
    await expect(db.store.saveAgent(banned, options)).rejects.toMatchObject({ code: 'AGENT_BANNED' });
  });

  test('cannot promote its renewal', async () => {
    expect(await db.store.promoteAgentSvid(banned.spiffeId, '2')).toBeUndefined();
  });

  test('stays banned through an update', async () => {
    expect(await db.store.updateAgent(banned.spiffeId, { agentVersion: '1.2.3' })).toMatchObject({ banned: true });
  });

  test('is not pruned', async () => {
    expect(await db.store.pruneAgents(10_000)).not.toContain(banned.spiffeId);
  });
});

describe('the renewal of an agent', () => {
  test('is promoted by its serial number, once', async () => {
    const renewing = agent('renewing', { newX509SvidSerialNumber: '2', newX509SvidExpiresAt: 6_000 });
    await db.store.saveAgent(renewing);
    expect(await db.store.promoteAgentSvid(renewing.spiffeId, '2')).toEqual({
      ...renewing,
      x509SvidSerialNumber: '2',
      x509SvidExpiresAt: 6_000,
      newX509SvidSerialNumber: '',
      newX509SvidExpiresAt: 0,
    });
    expect(await db.store.promoteAgentSvid(renewing.spiffeId, '2')).toBeUndefined();
  });

  test('is not promoted by an empty serial number', async () => {
    await db.store.saveAgent(agent('empty'));
    expect(await db.store.promoteAgentSvid(agent('empty').spiffeId, '')).toBeUndefined();
  });
});

test('lists by type, ban, re-attestation, expiry and selectors', async () => {
  const odd = agent('odd', { attestationType: 'odd', canReattest: false, x509SvidExpiresAt: 99 });
  await db.store.saveAgent(odd);
  const list = async (filter: Parameters<typeof db.store.listAgents>[0]) => (await db.store.listAgents(filter)).agents;
  expect(await list({ byAttestationType: 'odd' })).toEqual([odd]);
  expect(await list({ byCanReattest: false })).toEqual([odd]);
  expect(await list({ byExpiresBefore: 100 })).toEqual([odd]);
  expect(await list({ byBanned: true, byAttestationType: 'odd' })).toEqual([]);
  expect(await list({ byAttestationType: 'odd', bySelectors: { match: 'exact', selectors: odd.selectors } })).toEqual([
    odd,
  ]);
  expect(await db.store.countAgents({ byAttestationType: 'odd' })).toBe(1);
});

test('pruning leaves agents that cannot attest again, unless told', async () => {
  const lasting = agent('lasting', { canReattest: false, x509SvidExpiresAt: 10 });
  const passing = agent('passing', { x509SvidExpiresAt: 10 });
  await db.store.saveAgent(lasting);
  await db.store.saveAgent(passing);
  expect(await db.store.pruneAgents(50)).toEqual([passing.spiffeId]);
  expect(await db.store.pruneAgents(50, { includeNonReattestable: true })).toEqual([lasting.spiffeId]);
});

test.each(['updateAgent', 'banAgent'] as const)('%s refuses an agent that is not there', async (act) => {
  await expect(db.store[act]('spiffe://example.org/nobody', {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('no more agents are pruned at a time than asked for, the oldest first', async () => {
  const names = ['late', 'early', 'middle'];
  const ends = { early: 1, middle: 2, late: 3 } as Record<string, number>;
  for (const name of names) {
    await db.store.saveAgent(agent(`batch-${name}`, { x509SvidExpiresAt: ends[name]!, canReattest: true }));
  }
  const pruned = [];
  for (;;) {
    const batch = await db.store.pruneAgents(10, { limit: 2 });
    pruned.push(batch.length);
    if (batch.length === 0) break;
    if (pruned.length === 1) expect(batch.map((id) => id.split('-').at(-1)).sort()).toEqual(['early', 'middle']);
  }
  expect(pruned).toEqual([2, 1, 0]);
});
