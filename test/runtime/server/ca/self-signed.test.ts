import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyJwtSvid } from '../../../../runtime/pki/jwt-svid.ts';
import { parsePem } from '../../../../runtime/pki/pem.ts';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import { subjectText } from '../../../../runtime/pki/certificate.ts';
import type { CertificateAuthority, IssuedX509Svid } from '../../../../runtime/server/ca/authority.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import {
  authorityConfig,
  createMovableClock,
  createTestAuthority,
  downstreamId,
  hourMs,
  trustDomain,
  workloadKey,
} from '../../../support/authorities.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

const { publicKey } = workloadKey;
const spiffeId = parseSpiffeId('spiffe://example.org/workload');
const clock = createMovableClock(Math.floor(Date.now() / 1000) * 1000);

let db: TestStore;
let ca: CertificateAuthority;
beforeAll(async () => {
  db = await createTestStore(clock);
  ca = await createTestAuthority({ store: db.store, clock });
});
afterAll(async () => {
  await ca.close();
  await db.drop();
});

const verify = ({ chain }: Pick<IssuedX509Svid, 'chain'>) =>
  verifyX509Svid({
    chain: chain.map(({ der }) => der),
    roots: ca.bundle().x509Authorities.map(({ asn1 }) => asn1),
    now: clock(),
    trustDomain,
  });

describe('an X509-SVID', () => {
  test('verifies against the bundle, and its chain ends below the root', async () => {
    const svid = await ca.signX509Svid({ publicKey, spiffeId, dnsNames: ['a.example.org'] });
    expect(svid.chain).toHaveLength(1);
    expect(verify(svid).id.toString()).toBe(spiffeId.toString());
    expect(verify(svid).leaf.dnsNames).toEqual(['a.example.org']);
  });

  test.each([
    ['the default where none is asked for', undefined, authorityConfig.x509SvidTtl],
    ['the default for 0', 0, authorityConfig.x509SvidTtl],
    ['what is asked for', 60_000, 60_000],
    ['no longer than the authority', 100 * hourMs, authorityConfig.caTtl],
  ])('lives %s', async (_, ttlMs, lives) => {
    const svid = await ca.signX509Svid({ publicKey, spiffeId, ...(ttlMs === undefined ? {} : { ttlMs }) });
    expect(svid.expiresAt - clock()).toBe(lives);
  });

  test('is refused for another trust domain', async () => {
    const other = parseSpiffeId('spiffe://other.test/workload');
    await expect(ca.signX509Svid({ publicKey, spiffeId: other })).rejects.toThrow();
  });
});

describe('a downstream CA', () => {
  test('is an intermediate of the trust domain with SPIRE’s subject', async () => {
    const { chain, expiresAt } = await ca.signDownstreamX509Ca({
      requester: downstreamId,
      publicKey,
      ttlMs: 4 * hourMs,
    });
    expect(chain).toHaveLength(1);
    expect(chain[0]).toMatchObject({ isCa: true, uris: ['spiffe://example.org'] });
    expect(subjectText(chain[0]!)).toContain('OU=DOWNSTREAM-1');
    expect(expiresAt - clock()).toBe(4 * hourMs);
  });
});

describe('a JWT-SVID', () => {
  test('verifies against the bundle', async () => {
    const { token, expiresAt, issuedAt } = await ca.signJwtSvid({ spiffeId, audience: ['a', 'b'] });
    const verified = verifyJwtSvid({ token, bundle: ca.bundle(), audience: ['b'], now: clock() });
    expect(verified.id.toString()).toBe(spiffeId.toString());
    expect(verified.claims).not.toHaveProperty('jti');
    expect([verified.issuedAt, verified.expiresAt]).toEqual([issuedAt, expiresAt]);
    expect(expiresAt - issuedAt).toBe(300_000);
  });

  test('has an id of its own where the entry asks for it', async () => {
    const { token } = await ca.signJwtSvid({ spiffeId, audience: ['a'], includeJti: true });
    const { claims } = verifyJwtSvid({ token, bundle: ca.bundle(), audience: ['a'], now: clock() });
    expect(claims['jti']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('is refused without an audience', async () => {
    await expect(ca.signJwtSvid({ spiffeId, audience: [''] })).rejects.toMatchObject({ code: 'TOKEN_AUDIENCE' });
  });
});

test('the server has an identity of its own', () => {
  const { certificateChainPem } = ca.serverCredentials();
  const { id } = verifyX509Svid({
    chain: parsePem(certificateChainPem).map(({ der }) => der),
    roots: ca.bundle().x509Authorities.map(({ asn1 }) => asn1),
    now: clock(),
  });
  expect(id.toString()).toBe('spiffe://example.org/spire/server');
});

test('the bundle in the store is the one in memory, with one authority of each kind', async () => {
  const stored = await db.store.fetchBundle('example.org');
  expect(stored).toEqual(ca.bundle());
  expect([stored?.x509Authorities.length, stored?.jwtAuthorities.length]).toEqual([1, 1]);
  expect(stored?.jwtAuthorities[0]?.keyId).toBe(ca.jwtAuthority().authorityId);
});

test('a JWT key of a downstream is published in the bundle', async () => {
  const authority = {
    keyId: 'downstream',
    publicKey: ca.bundle().jwtAuthorities[0]!.publicKey,
    expiresAt: 2_000_000_000,
  };
  expect(await ca.publishJwtAuthority(authority)).toContainEqual(authority);
  expect(ca.bundle().jwtAuthorities).toContainEqual(authority);
});

describe('the start is refused', () => {
  test.each([
    ['where an authority would end before what it signs', { caTtl: hourMs / 2 }],
    ['where the lattice is enforced and broken', { caTtl: 5 * hourMs, ttlLattice: 'enforce' as const }],
  ])('%s', async (_, config) => {
    await expect(createTestAuthority({ store: db.store, config })).rejects.toMatchObject({ code: 'TTL_LATTICE' });
  });

  test('without JWT keys where JWT-SVIDs are disabled: tokens are', async () => {
    const quiet = await createTestAuthority({ store: db.store, config: { disableJwtSvids: true } });
    await expect(quiet.signJwtSvid({ spiffeId, audience: ['a'] })).rejects.toMatchObject({ code: 'JWT_DISABLED' });
    expect(() => quiet.jwtAuthority()).toThrow('JWT-SVIDs are disabled');
    await quiet.close();
  });
});
