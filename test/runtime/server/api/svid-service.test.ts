import { generateKeyPairSync as generateEdwardsKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../../runtime/pki/certificate.ts';
import { createCsr } from '../../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import type { KeyType } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { verifyJwtSvid } from '../../../../runtime/pki/jwt-svid.ts';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { createEntry, runServer, trustDomain } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';

const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
const other = signerOf(generateKeyPairSync('ec-p256').privateKey);
const forged = createCsr({
  signer: { ...other, publicKey: signer.publicKey },
  spiffeId: parseSpiffeId('spiffe://example.org/w'),
});
const rubbish = new Uint8Array([0x30, 0x03, 0x02, 0x01]);
const csrFor = (id: string, dnsNames: string[] = []) => createCsr({ signer, spiffeId: parseSpiffeId(id), dnsNames });

let server: RunningTestServer;
let agent: Awaited<ReturnType<RunningTestServer['attestAgent']>>;
let entryId: string;
beforeAll(async () => {
  server = await runServer();
  agent = await server.attestAgent();
  const entry = await createEntry(server.local, '/w', agent.path, {
    dnsNames: ['w.example.org'],
    x509SvidTtl: 600,
    jwtSvidTtl: 60,
  });
  entryId = entry.id;
  await createEntry(server.local, '/downstream', agent.path, { downstream: true });
  await untilAuthorized(entryId);
});
afterAll(() => server.close());

async function untilAuthorized(id: string): Promise<void> {
  for (;;) {
    const { entries } = await agent.entry.getAuthorizedEntries({ outputMask: undefined });
    if (entries.some((entry) => entry.id === id)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const verify = (chain: Uint8Array[]) => verifyX509Svid({ chain, roots: server.roots, now: Date.now(), trustDomain });

describe('an agent', () => {
  const sign = async (params: { entryId: string; csr: Uint8Array }) =>
    (await agent.svid.batchNewX509Svid({ params: [params] })).results[0]!;

  test('gets an X509-SVID with the names and TTL of the entry, whatever the CSR asks for', async () => {
    for (const asked of ['spiffe://example.org/w', 'spiffe://example.org/spire/server', 'spiffe://other.org/x']) {
      const { status, svid } = await sign({ entryId, csr: csrFor(asked, ['server.example.org']) });
      expect(status).toEqual({ code: 0, message: 'OK' });
      const { id, leaf } = verify(svid!.certChain);
      expect(String(id)).toBe('spiffe://example.org/w');
      expect(leaf.dnsNames).toEqual(['w.example.org']);
      expect(leaf.isCa).toBe(false);
      expect(Math.round((svid!.expiresAt * 1000 - Date.now()) / 60_000)).toBe(10);
    }
  });

  test.each([
    [{ entryId: '', csr: csrFor('spiffe://example.org/w') }, statusCode.INVALID_ARGUMENT, /^missing entry ID$/],
    [{ entryId: 'x', csr: new Uint8Array() }, statusCode.INVALID_ARGUMENT, /^missing CSR$/],
    [
      { entryId: 'x', csr: csrFor('spiffe://example.org/w') },
      statusCode.NOT_FOUND,
      /^entry not found or not authorized$/,
    ],
  ])('is refused %o', async (params, code, message) => {
    const { status, svid } = await sign(params);
    expect(svid).toBeUndefined();
    expect(status).toEqual({ code, message: expect.stringMatching(message) as string });
  });

  test('is refused a CSR that does not decode, or whose signature does not hold', async () => {
    expect((await sign({ entryId, csr: rubbish })).status).toEqual({
      code: statusCode.INVALID_ARGUMENT,
      message: expect.stringMatching(/^malformed CSR: /) as string,
    });
    expect((await sign({ entryId, csr: forged })).status).toEqual({
      code: statusCode.INVALID_ARGUMENT,
      message: 'invalid CSR signature: request is not signed by the key that it carries',
    });
  });

  test('is told of an entry of another agent what it is told of none', async () => {
    const stranger = await server.attestAgent();
    const { results } = await stranger.svid.batchNewX509Svid({
      params: [{ entryId, csr: csrFor('spiffe://example.org/w') }],
    });
    expect(results[0]?.status).toEqual({ code: statusCode.NOT_FOUND, message: 'entry not found or not authorized' });
    await expect(stranger.svid.newJwtsvid({ entryId, audience: ['a'] })).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      message: 'entry not found or not authorized',
    });
  });

  test('is refused an empty batch, and one that the limit can never let through', async () => {
    await expect(agent.svid.batchNewX509Svid({ params: [] })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'missing parameters',
    });
    const params = Array.from({ length: 501 }, () => ({ entryId, csr: new Uint8Array() }));
    await expect(agent.svid.batchNewX509Svid({ params })).rejects.toMatchObject({
      code: statusCode.RESOURCE_EXHAUSTED,
      message: 'rejecting request due to certificate signing rate limiting: rate (501) exceeds burst size (500)',
    });
  });

  test('gets a JWT-SVID for the entry’s ID and TTL', async () => {
    const { svid } = await agent.svid.newJwtsvid({ entryId, audience: ['a', '', 'b'] });
    expect(svid).toMatchObject({ id: { trustDomain: 'example.org', path: '/w' } });
    expect(svid!.expiresAt - svid!.issuedAt).toBe(60);
    const { jwtAuthorities } = await server.local.bundle.getBundle({ outputMask: undefined });
    const bundle = { trustDomain, x509Authorities: [], jwtAuthorities, refreshHintSeconds: 0, sequenceNumber: 0 };
    const { id, claims } = verifyJwtSvid({ token: svid!.token, bundle, audience: ['a'], now: Date.now() });
    expect(String(id)).toBe('spiffe://example.org/w');
    expect(claims['aud']).toEqual(['a', 'b']);
    expect(claims).not.toHaveProperty('jti');
  });

  test.each([[[]], [['']]])('is refused a JWT-SVID for the audience %j', async (audience) => {
    await expect(agent.svid.newJwtsvid({ entryId, audience })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'at least one audience is required',
    });
  });
});

describe('an administrator', () => {
  const mint = (csr: Uint8Array, ttl = 0) => server.local.svid.mintX509Svid({ csr, ttl });

  test('mints an X509-SVID with what the CSR asks for', async () => {
    const { svid } = await mint(csrFor('spiffe://example.org/minted', ['b.example.org', 'a.example.org']), 60);
    const { id, leaf } = verify(svid!.certChain);
    expect(String(id)).toBe('spiffe://example.org/minted');
    expect(leaf.dnsNames).toEqual(['b.example.org', 'a.example.org']);
    expect(Math.abs(svid!.expiresAt - Date.now() / 1000 - 60)).toBeLessThan(10);
  });

  test.each([
    ['no CSR', new Uint8Array(), /^missing CSR$/],
    ['rubbish', rubbish, /^malformed CSR: /],
    ['a signature that does not hold', forged, /^failed to verify CSR signature: /],
    ['no URI', createCsr({ signer }), /^CSR URI SAN is required$/],
    [
      'an ID of another trust domain',
      csrFor('spiffe://other.org/x'),
      /^CSR URI SAN is invalid: "spiffe:\/\/other.org\/x" is not a member of trust domain "example.org"$/,
    ],
    [
      'the server’s ID',
      csrFor('spiffe://example.org/spire/server'),
      /^CSR URI SAN is invalid: .* path is in the reserved namespace$/,
    ],
    [
      'an agent’s ID',
      csrFor('spiffe://example.org/spire/agent/x/y'),
      /^CSR URI SAN is invalid: .* path is in the reserved namespace$/,
    ],
    ['the trust domain’s ID', csrFor('spiffe://example.org'), /^CSR URI SAN is invalid: .* path is empty$/],
    ['a bad DNS name', csrFor('spiffe://example.org/x', ['a_b.example.org']), /^CSR DNS name is invalid: idna error/],
    [
      'overlapping wildcards',
      csrFor('spiffe://example.org/x', ['*.example.org', 'a.example.org']),
      /^CSR DNS name contains a wildcard that covers another non-wildcard name: /,
    ],
  ])('is refused an X509-SVID for %s', async (_what, csr, message) => {
    await expect(mint(csr)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: expect.stringMatching(message) as string,
    });
  });

  test.each([
    [undefined, 'invalid SPIFFE ID: request must specify SPIFFE ID'],
    [
      { trustDomain: 'example.org', path: '/spire/server' },
      'invalid SPIFFE ID: "spiffe://example.org/spire/server" is not a workload in trust domain "example.org"; path is in the reserved namespace',
    ],
  ])('is refused a JWT-SVID for %j', async (id, message) => {
    await expect(server.local.svid.mintJwtsvid({ id, audience: ['a'], ttl: 0 })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message,
    });
  });
});

describe('a downstream server', () => {
  test('gets an intermediate CA for its key, and the roots above it', async () => {
    const downstream = await server.connectAs('spiffe://example.org/downstream');
    const { caCertChain, x509Authorities } = await downstream.svid.newDownstreamX509Ca({
      csr: csrFor('spiffe://example.org/spire/server'),
      preferredTtl: 3600,
    });
    const ca = parseCertificate(caCertChain[0]!);
    expect(ca).toMatchObject({ isCa: true, uris: ['spiffe://example.org'] });
    expect(Buffer.from(ca.spki)).toEqual(signer.publicKey.export({ format: 'der', type: 'spki' }));
    expect(Math.abs(ca.notAfter - Date.now() - 3_600_000)).toBeLessThan(30_000);
    expect(x509Authorities.map((der) => Buffer.from(der).toString('hex'))).toEqual(
      server.roots.map((der) => Buffer.from(der).toString('hex')),
    );
  });

  test('is refused a CSR that does not hold', async () => {
    const { svid } = await server.connectAs('spiffe://example.org/downstream');
    await expect(svid.newDownstreamX509Ca({ csr: rubbish, preferredTtl: 0 })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: expect.stringMatching(/^malformed CSR: /) as string,
    });
    await expect(svid.newDownstreamX509Ca({ csr: forged, preferredTtl: 0 })).rejects.toMatchObject({
      message: expect.stringMatching(/^invalid CSR signature: /) as string,
    });
  });

  test('is one by its entry only', async () => {
    const { svid } = await server.connectAs('spiffe://example.org/w');
    await expect(
      svid.newDownstreamX509Ca({ csr: csrFor('spiffe://example.org/w'), preferredTtl: 0 }),
    ).rejects.toMatchObject({ code: statusCode.PERMISSION_DENIED });
  });
});

test('JWT-SVIDs are not served where they are disabled', async () => {
  const without = await runServer({ settings: 'disable_jwt_svids = true' });
  try {
    const { svid } = without.local;
    await expect(
      svid.mintJwtsvid({ id: { trustDomain: 'example.org', path: '/w' }, audience: ['a'], ttl: 0 }),
    ).rejects.toMatchObject({ code: statusCode.UNIMPLEMENTED, message: 'JWT functionality is disabled' });
    const { bundle } = without.local;
    expect(await bundle.getBundle({ outputMask: undefined })).toMatchObject({ jwtAuthorities: [] });
  } finally {
    await without.close();
  }
});

describe('WIT-SVIDs are not signed', () => {
  const spki = (type: KeyType) => generateKeyPairSync(type).publicKey.export({ format: 'der', type: 'spki' });
  const [p256, p384, rsa] = [spki('ec-p256'), spki('ec-p384'), spki('rsa-2048')];
  const ed25519 = generateEdwardsKey('ed25519').publicKey.export({ format: 'der', type: 'spki' });
  const noKey = 'failed to sign WIT-SVID: WIT key is not available for signing';
  const wrong = 'invalid signing algorithm or key type: unsupported';

  test.each([
    ['', p256, 'ES256', statusCode.INVALID_ARGUMENT, 'missing entry ID'],
    ['own', new Uint8Array(), 'ES256', statusCode.INVALID_ARGUMENT, 'missing public key'],
    ['unknown', p256, 'ES256', statusCode.NOT_FOUND, 'entry not found or not authorized'],
    ['own', rubbish, 'ES256', statusCode.INVALID_ARGUMENT, /^malformed public key: ./],
    ['own', p256, 'ES384', statusCode.INVALID_ARGUMENT, `${wrong} signing algorithm for ec-p256 key: ES384`],
    ['own', p384, 'ES256', statusCode.INVALID_ARGUMENT, `${wrong} signing algorithm for ec-p384 key: ES256`],
    ['own', rsa, 'none', statusCode.INVALID_ARGUMENT, `${wrong} signing algorithm for RSA key: none`],
    ['own', ed25519, 'EdDSA', statusCode.INVALID_ARGUMENT, `${wrong} key type 'ed25519'`],
    ['own', p256, 'ES256', statusCode.INTERNAL, noKey],
    ['own', p384, 'ES384', statusCode.INTERNAL, noKey],
    ['own', rsa, 'PS512', statusCode.INTERNAL, noKey],
  ])('entry %j, key %#, %s', async (named, publicKey, signingAlgorithm, code, message) => {
    const asked = { entryId: named === 'own' ? entryId : named, publicKey, signingAlgorithm };
    const { results } = await agent.svid.batchNewWitsvid({ params: [asked] });
    const text = typeof message === 'string' ? message : (expect.stringMatching(message) as string);
    expect(results).toEqual([{ status: { code, message: text }, svid: undefined }]);
  });

  test('for an administrator either', async () => {
    await expect(
      server.local.svid.mintWitsvid({ id: undefined, publicKey: p256, ttl: 0, signingAlgorithm: 'ES256' }),
    ).rejects.toMatchObject({ code: statusCode.UNIMPLEMENTED, message: 'WIT functionality is disabled' });
  });
});
