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

describe('an agent whose evidence is taken once', () => {
  const known = agent('once', { canReattest: false, attestedKey: 'k' });
  const options = { onlyNew: true, again: true };
  beforeAll(() => db.store.saveAgent(known, { onlyNew: true }));

  test('is recorded again by its key', async () => {
    expect(await db.store.saveAgent({ ...known, x509SvidSerialNumber: '2' }, options)).toMatchObject({
      x509SvidSerialNumber: '2',
    });
  });

  test('is not recorded by another key, nor by one that does not ask again', async () => {
    const other = { ...known, attestedKey: 'other' };
    await expect(db.store.saveAgent(other, options)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(db.store.saveAgent(known, { onlyNew: true })).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  test('has no such key any more once it used its renewal', async () => {
    await db.store.updateAgent(known.spiffeId, { newX509SvidSerialNumber: '3', newX509SvidExpiresAt: 6_000 });
    expect(await db.store.fetchAgent(known.spiffeId)).toMatchObject({ attestedKey: 'k' });
    await db.store.promoteAgentSvid(known.spiffeId, '3');
    await expect(db.store.saveAgent(known, options)).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('an agent with a join token', () => {
  const joining = (joinToken: string, more: Partial<AgentRecord> = {}, again = false) =>
    db.store.saveAgent(agent(joinToken, { canReattest: false, attestedKey: 'k', ...more }), {
      onlyNew: true,
      joinToken,
      again,
    });

  test('is recorded as the token is taken', async () => {
    await db.store.createJoinToken({ token: 't1', expiresAt: 1_000 });
    await joining('t1');
    expect(await db.store.fetchJoinToken('t1')).toBeUndefined();
    await expect(joining('t1')).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(joining('t1', { attestedKey: 'other' }, true)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await joining('t1', { x509SvidSerialNumber: '2' }, true)).toMatchObject({ x509SvidSerialNumber: '2' });
  });

  test('keeps its token where it cannot be recorded', async () => {
    await db.store.createJoinToken({ token: 't2', expiresAt: 1_000 });
    await expect(joining('t2', { agentVersion: 'a\0b' })).rejects.toMatchObject({ code: 'INVALID' });
    expect(await db.store.fetchJoinToken('t2')).toEqual({ token: 't2', expiresAt: 1_000 });
  });

  test('of 16 at once is one', async () => {
    await db.store.createJoinToken({ token: 't3', expiresAt: 1_000 });
    const attempts = await Promise.allSettled(Array.from({ length: 16 }, () => joining('t3')));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});
