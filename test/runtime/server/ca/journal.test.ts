import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openJournal } from '../../../../runtime/server/ca/journal.ts';
import { subjectKeyIdOf } from '../../../../runtime/pki/key-id.ts';
import { encodePublicKey } from '../../../../runtime/pki/public-key.ts';
import { createMemoryKeyManager } from '../../../../runtime/server/keys/memory.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore();
});
afterAll(() => db.drop());

/** A key in slot A, with the authority id that a certificate of it would have. */
const createKeys = async () => {
  const keys = createMemoryKeyManager();
  const { publicKey } = await keys.generateKey('x509-CA-A', 'ec-p256');
  return { keys, authorityId: Buffer.from(subjectKeyIdOf(encodePublicKey(publicKey))).toString('hex') };
};
const entry = (authorityId: string, status: 'prepared' | 'active' | 'old', notAfter = 2_000_000) => ({
  slot: 'A' as const,
  status,
  authorityId,
  issuedAt: 0,
  notAfter,
});

describe('a journal', () => {
  test('is found again by the key of the active authority', async () => {
    const { keys, authorityId } = await createKeys();
    const first = await openJournal({ store: db.store, keys, log: silentLog });
    await first.note('x509', [entry(authorityId, 'active')]);
    await first.note('jwt', [entry('key', 'active')]);
    const again = await openJournal({ store: db.store, keys, log: silentLog });
    expect([again.entries('x509'), again.entries('jwt')]).toEqual([
      [entry(authorityId, 'active')],
      [entry('key', 'active')],
    ]);
  });

  test('says one thing of each authority, and forgets all but the active and the last ten', async () => {
    const { keys, authorityId } = await createKeys();
    const journal = await openJournal({ store: db.store, keys, log: silentLog });
    await journal.note('x509', [entry(authorityId, 'prepared')]);
    await journal.note('x509', [entry(authorityId, 'active')]);
    expect(journal.entries('x509')).toEqual([entry(authorityId, 'active')]);
    for (let i = 0; i < 12; i += 1) await journal.note('x509', [entry(`later-${i}`, 'prepared')]);
    const lastTen = Array.from({ length: 10 }, (_, i) => `later-${i + 2}`);
    expect(journal.entries('x509').map((noted) => noted.authorityId)).toEqual([authorityId, ...lastTen]);
  });

  test('is pruned by the end of its last authority, not by when it was written', async () => {
    const { keys, authorityId } = await createKeys();
    const journal = await openJournal({ store: db.store, keys, log: silentLog });
    await journal.note('x509', [entry('old-one', 'old', 1_000_000), entry(authorityId, 'active', 5_000_000)]);
    await db.store.pruneCaJournals(4_999);
    expect(await db.store.fetchCaJournal(authorityId)).toMatchObject({ expiresAt: 5_000 });
    await db.store.pruneCaJournals(5_001);
    expect(await db.store.fetchCaJournal(authorityId)).toBeUndefined();
  });

  test('that is damaged counts as none', async () => {
    const { keys, authorityId } = await createKeys();
    const record = { id: 0, activeX509AuthorityId: authorityId, activeJwtAuthorityId: '', expiresAt: 9_999 };
    await db.store.saveCaJournal({ ...record, data: '{"x509": 1}' });
    expect((await openJournal({ store: db.store, keys, log: silentLog })).entries('x509')).toEqual([]);
  });

  test('holds what was noted and nothing else', async () => {
    const { keys, authorityId } = await createKeys();
    const journal = await openJournal({ store: db.store, keys, log: silentLog });
    await journal.note('x509', [entry(authorityId, 'active')]);
    const { data } = (await db.store.fetchCaJournal(authorityId))!;
    expect(JSON.parse(data)).toEqual({ x509: [entry(authorityId, 'active')], jwt: [] });
  });
});
