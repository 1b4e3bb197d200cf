import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { issueSelfSignedCa } from '../../../../runtime/pki/issue.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import type { JwtAuthority, TrustBundle, X509Authority } from '../../../../runtime/spiffe/bundle.ts';
import { createSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

const trustDomain = parseTrustDomain('example.org');
const createRoot = (notAfter: number): X509Authority => {
  const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
  const spiffeId = createSpiffeId(trustDomain, '');
  return { asn1: issueSelfSignedCa({ signer, subject: {}, spiffeId, notBefore: 0, notAfter: notAfter * 1000 }).der };
};
const createKey = (keyId: string, expiresAt: number): JwtAuthority => {
  const { publicKey } = generateKeyPairSync('ec-p256');
  return { keyId, expiresAt, publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })) };
};
/** Unix seconds: one authority of each kind ends at 1,000, one at 2,000. */
const [early, late] = [createRoot(1_000), createRoot(2_000)];
const [earlyKey, lateKey] = [createKey('early', 1_000), createKey('late', 2_000)];
const of = (...x509Authorities: X509Authority[]): TrustBundle => ({ ...emptyBundle(trustDomain), x509Authorities });
const both: TrustBundle = {
  ...of(early, late),
  jwtAuthorities: [earlyKey, lateKey],
  refreshHintSeconds: 300,
  sequenceNumber: 5,
};

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore();
});
afterAll(() => db.drop());
beforeEach(() => db.store.setBundle(both));
const stored = () => db.store.fetchBundle('example.org');

test('a bundle comes back as it was set', async () => {
  expect(await stored()).toEqual(both);
  expect(await db.store.fetchBundle('other.test')).toBeUndefined();
});

describe('appending', () => {
  test('begins a bundle with sequence number 1', async () => {
    await db.store.deleteBundle('example.org', 'restrict');
    expect(await db.store.appendBundle(of(early))).toEqual({ ...of(early), sequenceNumber: 1 });
  });

  test('counts changes only', async () => {
    await db.store.setBundle({ ...of(early), sequenceNumber: 5 });
    expect((await db.store.appendBundle(of(early))).sequenceNumber).toBe(5);
    expect((await db.store.appendBundle(of(late))).sequenceNumber).toBe(6);
  });

  test('loses nothing when eight servers append at once', async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => db.openAnother()));
    const keys = stores.map((_, server) => Array.from({ length: 4 }, (__, i) => createKey(`s${server}-${i}`, 0)));
    await Promise.all(
      stores.map(async (store, server) => {
        for (const key of keys[server]!) await store.appendBundle({ ...of(late), jwtAuthorities: [key] });
      }),
    );
    const after = (await stored())!;
    const ids = after.jwtAuthorities.map(({ keyId }) => keyId);
    expect(ids).toEqual(expect.arrayContaining(keys.flat().map(({ keyId }) => keyId)));
    // Each of the 32 changed something, and each change has a number of its own.
    expect([ids.length, after.sequenceNumber]).toEqual([2 + 32, 5 + 32]);
  });

  test('loses nothing when 16 append at once', async () => {
    const keys = Array.from({ length: 16 }, (_, i) => createKey(`k${i}`, 0));
    await Promise.all(keys.map((key) => db.store.appendBundle({ ...of(), jwtAuthorities: [key] })));
    const bundle = await stored();
    expect(bundle?.jwtAuthorities).toHaveLength(18);
    expect(bundle?.sequenceNumber).toBe(21);
  });
});

describe('pruning', () => {
  test('drops what has expired and counts once', async () => {
    expect(await db.store.pruneBundle('example.org', 1_500)).toBe(true);
    expect(await stored()).toEqual({ ...both, x509Authorities: [late], jwtAuthorities: [lateKey], sequenceNumber: 6 });
    expect(await db.store.pruneBundle('example.org', 1_500)).toBe(false);
  });

  test('is refused where it would leave none', async () => {
    await expect(db.store.pruneBundle('example.org', 3_000)).rejects.toMatchObject({ code: 'LAST_AUTHORITY' });
    expect(await stored()).toEqual(both);
  });
});

describe('an X.509 authority', () => {
  const id = x509AuthorityId(early);

  test('is tainted, then revoked', async () => {
    const tainted = await db.store.taintX509Authority('example.org', id.toUpperCase());
    expect(tainted).toEqual({ ...both, x509Authorities: [{ ...early, tainted: true }, late], sequenceNumber: 6 });
    expect(await db.store.revokeX509Authority('example.org', id)).toEqual({
      ...both,
      x509Authorities: [late],
      sequenceNumber: 7,
    });
  });

  test('stays tainted when it is appended again', async () => {
    await db.store.taintX509Authority('example.org', id);
    expect((await db.store.appendBundle(of(early))).x509Authorities[0]).toEqual({ ...early, tainted: true });
  });

  test('is not tainted twice, nor revoked untainted, nor found where it is not', async () => {
    await expect(db.store.revokeX509Authority('example.org', id)).rejects.toMatchObject({ code: 'NOT_TAINTED' });
    await db.store.taintX509Authority('example.org', id);
    await expect(db.store.taintX509Authority('example.org', id)).rejects.toMatchObject({ code: 'ALREADY_TAINTED' });
    await expect(db.store.taintX509Authority('example.org', 'ff')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(db.store.taintX509Authority('other.test', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

test('a JWT authority is tainted, then revoked', async () => {
  await expect(db.store.revokeJwtAuthority('example.org', 'early')).rejects.toMatchObject({ code: 'NOT_TAINTED' });
  expect(await db.store.taintJwtAuthority('example.org', 'early')).toEqual({ ...earlyKey, tainted: true });
  expect(await db.store.revokeJwtAuthority('example.org', 'early')).toEqual({ ...earlyKey, tainted: true });
  expect((await stored())?.jwtAuthorities).toEqual([lateKey]);
});

test('bundles are created once, listed page by page, counted and deleted', async () => {
  await expect(db.store.createBundle(both)).rejects.toMatchObject({ code: 'CONFLICT' });
  const other = emptyBundle(parseTrustDomain('other.test'));
  await db.store.createBundle(other);
  expect(await db.store.countBundles()).toBe(2);
  const first = await db.store.listBundles({ size: 1, token: '' });
  const second = await db.store.listBundles({ size: 1, token: first.nextPageToken });
  expect(first.bundles).toEqual([both]);
  expect(second).toEqual({ bundles: [other], nextPageToken: '' });
  expect(await db.store.deleteBundle('other.test', 'restrict')).toBe(true);
  expect(await db.store.deleteBundle('other.test', 'restrict')).toBe(false);
});
