import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import type { KeyManager } from '../../../../runtime/server/keys/key-manager.ts';
import { createMemoryKeyManager } from '../../../../runtime/server/keys/memory.ts';
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import {
  createMovableClock,
  createTestAuthority,
  downstreamId,
  hourMs,
  workloadKey,
} from '../../../support/authorities.ts';
import type { MovableClock } from '../../../support/authorities.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

let db: TestStore;
let clock: MovableClock;
const opened: CertificateAuthority[] = [];
beforeEach(async () => {
  clock = createMovableClock();
  db = await createTestStore(clock);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ca) => ca.close()));
  await db.drop();
});
const open = async (options: { store?: Store; keys?: KeyManager } = {}) => {
  const ca = await createTestAuthority({ store: db.store, clock, ...options });
  opened.push(ca);
  return ca;
};
const spiffeId = parseSpiffeId('spiffe://example.org/w');
const { publicKey } = workloadKey;
const signedUntilOf = async (authorityId: string) =>
  (await db.store.listAuthorityLives(Math.floor(clock() / 1000))).find((life) => life.authorityId === authorityId)
    ?.signedUntil;
const ask = async (statement: string) => {
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  await client.query(statement);
  await client.end();
};
const markOf = async (authorityId: string) =>
  (await db.store.listSignedUntil()).find((mark) => mark.authorityId === authorityId)!;

describe('up to when something that an authority signed is valid', () => {
  test('is in the store before it is signed, with room ahead, and never past the authority’s own end', async () => {
    const ca = await open();
    const { authorityId, expiresAt } = ca.x509Authority();
    const before = await markOf(authorityId);
    expect(before).toMatchObject({ kind: 'x509', upstreamAuthorityId: '', settled: false });
    expect(before.until * 1000 - clock()).toBeGreaterThan(5 * hourMs);
    const { expiresAt: end } = await ca.signX509Svid({ publicKey, spiffeId, ttlMs: 100 * hourMs });
    const after = await markOf(authorityId);
    expect([end, after.until]).toEqual([expiresAt, expiresAt / 1000]);
  });

  test('is written once for many signatures', async () => {
    let writes = 0;
    const store: Store = {
      ...db.store,
      raiseSignedUntil(mark) {
        writes += 1;
        return db.store.raiseSignedUntil(mark);
      },
    };
    const ca = await open({ store });
    const sign = () =>
      Promise.all([ca.signX509Svid({ publicKey, spiffeId }), ca.signJwtSvid({ spiffeId, audience: ['a'] })]);
    const opening = writes;
    await Promise.all(Array.from({ length: 20 }, sign)); // the first ones wait together
    expect(writes - opening).toBe(2);
    const before = writes;
    for (let i = 0; i < 50; i += 1) {
      await sign();
    }
    expect(writes).toBe(before);
  });

  test('is exact once the authority has retired', async () => {
    const ca = await open();
    for (const [control, last] of [
      [ca.x509, async () => (await ca.signX509Svid({ publicKey, spiffeId, ttlMs: 2 * hourMs })).expiresAt],
      [ca.jwt, async () => (await ca.signJwtSvid({ spiffeId, audience: ['a'], ttlMs: hourMs })).expiresAt],
    ] as const) {
      const { authorityId } = control.states().active!;
      const end = await last();
      await control.activate((await control.prepare()).authorityId);
      const { until, settled } = await markOf(authorityId);
      expect([settled, Math.abs(until - end / 1000) <= 1]).toEqual([true, true]);
    }
  });

  test('leaves the CAs of downstream servers to those who asked for them, who are kept', async () => {
    const ca = await open();
    const { authorityId } = ca.x509Authority();
    const { expiresAt } = await ca.signDownstreamX509Ca({ requester: downstreamId, publicKey, ttlMs: 12 * hourMs });
    await ca.x509.activate((await ca.x509.prepare()).authorityId);
    expect((await markOf(authorityId)).until).toBeLessThan(expiresAt / 1000);
    expect(await db.store.listDownstreamCas(0)).toEqual([
      { issuerId: authorityId, rootId: '', requestedBy: String(downstreamId), expiresAt: expiresAt / 1000 },
    ]);
    expect(await db.store.listDownstreamCas(expiresAt / 1000)).toEqual([]);
  });

  test('is known after a restart, for what was signed before it', async () => {
    const keys = createMemoryKeyManager();
    const first = await open({ keys });
    const { authorityId } = first.x509Authority();
    const { expiresAt } = await first.signX509Svid({ publicKey, spiffeId, ttlMs: 10 * hourMs });
    await opened.pop()!.close();
    const again = await open({ keys });
    await again.x509.activate((await again.x509.prepare()).authorityId);
    const { until, settled } = await markOf(authorityId);
    expect([settled, until >= Math.floor(expiresAt / 1000)]).toEqual([true, true]);
  });

  test('of a server that was killed is no later than the longest that it signed for, from its restart on', async () => {
    const keys = createMemoryKeyManager();
    const killed = await open({ keys });
    const { authorityId } = killed.x509Authority();
    await killed.signX509Svid({ publicKey, spiffeId, ttlMs: hourMs });
    await killed.signX509Svid({ publicKey, spiffeId, ttlMs: 2 * hourMs });
    clock.advance(hourMs / 2);
    const again = await open({ keys });
    const ends = Math.ceil(clock() / 1000) + 7200;
    const now = Math.floor(clock() / 1000);
    expect(await signedUntilOf(authorityId)).toBe(now + 7200);
    await again.x509.activate((await again.x509.prepare()).authorityId);
    expect(await markOf(authorityId)).toMatchObject({ settled: true, until: ends });
  });

  test('of what an older server signed is its bound, as nobody knows for how long it signed', async () => {
    const keys = createMemoryKeyManager();
    const older = await open({ keys });
    const { authorityId } = older.x509Authority();
    await older.signX509Svid({ publicKey, spiffeId, ttlMs: hourMs });
    const { until: bound } = await markOf(authorityId);
    await ask('UPDATE signed_until SET longest_ttl = NULL');
    const again = await open({ keys });
    await again.x509.activate((await again.x509.prepare()).authorityId);
    expect(await markOf(authorityId)).toMatchObject({ settled: true, until: bound });
  });

  test('does not keep SVIDs from being signed while the store is away, and follows when it is back', async () => {
    let isAway = false;
    const store: Store = {
      ...db.store,
      raiseSignedUntil: (mark) =>
        isAway ? Promise.reject(new StoreError('UNAVAILABLE', 'away')) : db.store.raiseSignedUntil(mark),
    };
    const ca = await open({ store });
    const { authorityId } = ca.x509Authority();
    isAway = true;
    const { expiresAt } = await ca.signX509Svid({ publicKey, spiffeId, ttlMs: 20 * hourMs });
    expect((await markOf(authorityId)).until).toBeLessThan(expiresAt / 1000);
    isAway = false;
    await expect.poll(async () => (await markOf(authorityId)).until).toBeGreaterThanOrEqual(expiresAt / 1000 - 1);
  });
});

describe('an intent', () => {
  const kinds = async () => (await db.store.listIntents()).map(({ kind, isDone }) => [kind, isDone]);

  test('is written for each authority, its own and a downstream’s, and marked when it is there', async () => {
    const ca = await open();
    await ca.signDownstreamX509Ca({ requester: downstreamId, publicKey });
    expect(await kinds()).toEqual([
      ['x509-ca', true],
      ['jwt-key', true],
      ['downstream-ca', true],
    ]);
    const [own, , below] = await db.store.listIntents();
    expect([own?.authorityId, below?.issuerId]).toEqual([
      ca.x509Authority().authorityId,
      ca.x509Authority().authorityId,
    ]);
  });

  test('that cannot be written leaves nothing signed and nothing published', async () => {
    const refuse = () => Promise.reject(new StoreError('UNAVAILABLE', 'away'));
    const ca = await open();
    const before = ca.bundle();
    const refusing = await createTestAuthority({ store: { ...db.store, recordIntent: refuse }, clock }).catch(
      (error: unknown) => error,
    );
    expect(refusing).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await db.store.fetchBundle('example.org')).toEqual(before);
  });

  test('with a serial number that was taken before is refused', async () => {
    const intent = {
      replica: 'r',
      kind: 'downstream-ca' as const,
      authorityId: 'a',
      issuerId: 'i',
      requestedBy: '',
      serialNumber: '7',
      expiresAt: 1,
    };
    await db.store.recordIntent({ ...intent, id: '1' });
    await expect(db.store.recordIntent({ ...intent, id: '2' })).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
