// JWT-SVIDs (JWT-SVID §2 to §4): what is signed, and every token that is not one.
import { createSign, sign } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import type { PkiErrorCode } from '../../../runtime/pki/errors.ts';
import { PkiError } from '../../../runtime/pki/errors.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import type { KeyType } from '../../../runtime/pki/key-type.ts';
import { signJwtSvid, unverifiedJwtSubject, verifyJwtSvid } from '../../../runtime/pki/jwt-svid.ts';
import { encodePublicKey } from '../../../runtime/pki/public-key.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import type { TrustBundle } from '../../../runtime/spiffe/bundle.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { hour, now } from './forge.ts';
import { expectRefusal } from './refusal.ts';

const spiffeId = parseSpiffeId('spiffe://td.test/workload');
const trustDomain = parseTrustDomain('td.test');
const keys = new Map<KeyType, ReturnType<typeof generateKeyPairSync>>();
const keyOf = (type: KeyType): ReturnType<typeof generateKeyPairSync> => {
  const pair = keys.get(type) ?? generateKeyPairSync(type);
  keys.set(type, pair);
  return pair;
};

const bundleOf = (type: KeyType): TrustBundle => ({
  ...emptyBundle(trustDomain),
  jwtAuthorities: [
    {
      keyId: 'old',
      publicKey: encodePublicKey(keyOf(type).publicKey).map((byte, at) => (at > 40 ? 0 : byte)),
      expiresAt: 0,
    },
    { keyId: 'k1', publicKey: encodePublicKey(keyOf(type).publicKey), expiresAt: 0 },
  ],
});

const input = {
  signer: signerOf(keyOf('ec-p256').privateKey),
  keyId: 'k1',
  spiffeId,
  audience: ['spiffe://td.test/server', 'other'],
  issuedAt: now,
  expiresAt: now + 300_000,
};
const token = signJwtSvid(input);
const verify = (text: string, changes: object = {}) =>
  verifyJwtSvid({ token: text, bundle: bundleOf('ec-p256'), audience: ['other'], now, ...changes });

const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const honestHeader = { alg: 'ES256', kid: 'k1', typ: 'JWT' };
const honestClaims = { sub: spiffeId.toString(), aud: ['other'], exp: now / 1000 + 300, iat: now / 1000 };

/** Signs any header and claims with the honest key; `undefined` leaves a field out. */
function forgeToken(header: unknown, claims: unknown): string {
  const signingInput = `${part(header)}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(signingInput), {
    key: keyOf('ec-p256').privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signingInput}.${signature.toString('base64url')}`;
}

const withHeader = (changes: object): string => forgeToken({ ...honestHeader, ...changes }, honestClaims);
const withClaims = (changes: object): string => forgeToken(honestHeader, { ...honestClaims, ...changes });

describe('a token', () => {
  test('has the headers and claims of SPIRE', () => {
    const [header, claims] = token.split('.').map((text) => Buffer.from(text, 'base64url').toString());
    expect(JSON.parse(header!)).toEqual({ alg: 'ES256', kid: 'k1', typ: 'JWT' });
    expect(JSON.parse(claims!)).toEqual({
      sub: 'spiffe://td.test/workload',
      aud: ['spiffe://td.test/server', 'other'],
      exp: now / 1000 + 300,
      iat: now / 1000,
    });
  });

  test('has an issuer and an ID where they are asked for, and drops empty audiences and fractions of seconds', () => {
    const full = signJwtSvid({
      ...input,
      issuer: 'https://i.test',
      jti: 'x',
      audience: ['', 'other'],
      issuedAt: now + 999,
    });
    expect(verify(full).claims).toEqual({ ...honestClaims, iss: 'https://i.test', jti: 'x' });
  });

  test.each<[KeyType, string]>([
    ['ec-p256', 'ES256'],
    ['ec-p384', 'ES384'],
    ['rsa-2048', 'RS256'],
  ])('signed with %s is %s, for us and for jose', async (type, alg) => {
    const { publicKey, privateKey } = keyOf(type);
    for (let round = 0; round < 8; round += 1) {
      const signed = signJwtSvid({ ...input, signer: signerOf(privateKey) });
      expect(decodeProtectedHeader(signed).alg).toBe(alg);
      expect(verify(signed, { bundle: bundleOf(type) })).toMatchObject({
        audience: input.audience,
        issuedAt: now,
        expiresAt: now + 300_000,
      });
      const { payload } = await jwtVerify(signed, publicKey, { currentDate: new Date(now), audience: 'other' });
      expect(payload.sub).toBe('spiffe://td.test/workload');
    }
  });

  test.each(['PS256', 'RS512'])('of another server may be signed with %s', (alg) => {
    const { privateKey } = keyOf('rsa-2048');
    const signingInput = `${part({ ...honestHeader, alg })}.${part(honestClaims)}`;
    const signer = createSign(alg === 'PS256' ? 'sha256' : 'sha512').update(signingInput);
    const signature = signer.sign(alg === 'PS256' ? { key: privateKey, padding: 6, saltLength: 32 } : privateKey);
    const signed = `${signingInput}.${signature.toString('base64url')}`;
    expect(verify(signed, { bundle: bundleOf('rsa-2048') }).id.equals(spiffeId)).toBe(true);
  });

  test.each([
    ['no type', withHeader({ typ: undefined })],
    ['type JOSE', withHeader({ typ: 'JOSE' })],
    ['one audience as text', withClaims({ aud: 'other' })],
    ['claims of its own', withClaims({ color: ['red'] })],
    ['no time of issue', withClaims({ iat: undefined })],
    ['an expiry within the leeway', withClaims({ exp: now / 1000 - 60 })],
    ['a start within the leeway', withClaims({ nbf: now / 1000 + 60, iat: now / 1000 + 60 })],
  ])('is accepted with %s', (_, text) => {
    expect(verify(text).id.toString()).toBe('spiffe://td.test/workload');
  });

  test('names its subject before it is verified', () => {
    expect(unverifiedJwtSubject(token).equals(spiffeId)).toBe(true);
  });
});

const [header = '', claims = '', signature = ''] = token.split('.');
const hmacKey = part('secret');

describe('a token is refused', () => {
  test.each<[string, string, PkiErrorCode, string]>([
    ['that is empty', '', 'TOKEN_FORMAT', 'three parts'],
    ['with two parts', `${header}.${claims}`, 'TOKEN_FORMAT', 'three parts'],
    ['with four parts', `${token}.x`, 'TOKEN_FORMAT', 'three parts'],
    ['without a signature', `${header}.${claims}.`, 'TOKEN_FORMAT', 'signature is not base64url'],
    ['with padding', `${header}.${claims}.${signature}==`, 'TOKEN_FORMAT', 'signature is not base64url'],
    ['with a space before it', ` ${token}`, 'TOKEN_FORMAT', 'header is not base64url'],
    ['with a line break after it', `${token}\n`, 'TOKEN_FORMAT', 'signature is not base64url'],
    ['with plain base64', `${header}.${claims}.+/${signature.slice(2)}`, 'TOKEN_FORMAT', 'signature is not base64url'],
    [
      'in JSON serialization',
      JSON.stringify({ payload: claims, signatures: [{ protected: header, signature }] }),
      'TOKEN_FORMAT',
      'three parts',
    ],
    ['of 64 KiB and more', `${header}.${'A'.repeat(65_536)}.${signature}`, 'TOKEN_FORMAT', 'characters'],
    ['with a header that is no JSON', forgeToken('{', honestClaims), 'TOKEN_FORMAT', 'header is not JSON'],
    ['with a header that is a list', forgeToken([], honestClaims), 'TOKEN_FORMAT', 'header is not an object'],
    ['with claims that are null', forgeToken(honestHeader, null), 'TOKEN_FORMAT', 'payload is not an object'],
    [
      'with claims that are not UTF-8',
      `${header}.${Buffer.from([0x22, 0xff, 0x22]).toString('base64url')}.${signature}`,
      'TOKEN_FORMAT',
      'payload is not JSON',
    ],
    [
      'nested a hundred thousand deep',
      `${header}.${part('['.repeat(40_000))}.${signature}`,
      'TOKEN_FORMAT',
      'payload is not JSON',
    ],
    ['with algorithm none', withHeader({ alg: 'none' }), 'TOKEN_ALGORITHM', 'token algorithm "none" is not allowed'],
    ['with algorithm None', withHeader({ alg: 'None' }), 'TOKEN_ALGORITHM', 'is not allowed'],
    ['with HMAC', withHeader({ alg: 'HS256' }), 'TOKEN_ALGORITHM', 'is not allowed'],
    ['with Ed25519', withHeader({ alg: 'EdDSA' }), 'TOKEN_ALGORITHM', 'is not allowed'],
    ['with an algorithm in lower case', withHeader({ alg: 'es256' }), 'TOKEN_ALGORITHM', 'is not allowed'],
    ['with a list of algorithms', withHeader({ alg: ['ES256'] }), 'TOKEN_ALGORITHM', 'is not allowed'],
    ['without an algorithm', withHeader({ alg: undefined }), 'TOKEN_ALGORITHM', 'is not allowed'],
    [
      'with the algorithm of another kind of key',
      withHeader({ alg: 'RS256' }),
      'TOKEN_SIGNATURE',
      'not signed by JWT authority "k1"',
    ],
    [
      'with the algorithm of another curve',
      withHeader({ alg: 'ES384' }),
      'TOKEN_SIGNATURE',
      'not signed by JWT authority "k1"',
    ],
    ['with a critical header', withHeader({ crit: ['exp'] }), 'TOKEN_HEADER', 'token has the header "crit"'],
    [
      'with a key of its own',
      withHeader({ jwk: { kty: 'oct', k: hmacKey } }),
      'TOKEN_HEADER',
      'token has the header "jwk"',
    ],
    ['with the address of a key', withHeader({ jku: 'https://x.test' }), 'TOKEN_HEADER', 'token has the header "jku"'],
    ['with a chain of its own', withHeader({ x5c: [] }), 'TOKEN_HEADER', 'token has the header "x5c"'],
    ['with another type', withHeader({ typ: 'at+jwt' }), 'TOKEN_TYPE', 'another type'],
    ['with type null', withHeader({ typ: null }), 'TOKEN_TYPE', 'another type'],
    ['without a key ID', withHeader({ kid: undefined }), 'TOKEN_KEY_ID', 'no key ID'],
    ['with an empty key ID', withHeader({ kid: '' }), 'TOKEN_KEY_ID', 'no key ID'],
    ['with a number for a key ID', withHeader({ kid: 1 }), 'TOKEN_KEY_ID', 'no key ID'],
    [
      'of an unknown key',
      withHeader({ kid: 'k2' }),
      'TOKEN_UNKNOWN_KEY',
      'trust domain td.test has no JWT authority "k2"',
    ],
    ['of an authority whose key does not decode', withHeader({ kid: 'old' }), 'PUBLIC_KEY', ''],
    ['without a subject', withClaims({ sub: undefined }), 'TOKEN_SUBJECT', 'no subject'],
    ['with a list of subjects', withClaims({ sub: ['spiffe://td.test/a'] }), 'TOKEN_SUBJECT', 'no subject'],
    [
      'with a subject that is no SPIFFE ID',
      withClaims({ sub: 'td.test/a' }),
      'TOKEN_SUBJECT',
      'scheme is missing or invalid',
    ],
    ['with a subject with dot segments', withClaims({ sub: 'spiffe://td.test/../a' }), 'TOKEN_SUBJECT', 'dot segments'],
    [
      'of another trust domain',
      withClaims({ sub: 'spiffe://other.test/a' }),
      'TRUST_DOMAIN',
      'spiffe://other.test/a is not of trust domain td.test',
    ],
    ['without an expiry', withClaims({ exp: undefined }), 'TOKEN_EXPIRY', 'token missing exp claim'],
    [
      'with an expiry in text',
      withClaims({ exp: String(honestClaims.exp) }),
      'TOKEN_CLAIMS',
      'exp claim is not a number',
    ],
    ['with an expiry that is null', withClaims({ exp: null }), 'TOKEN_CLAIMS', 'exp claim is not a number'],
    [
      'with an infinite expiry',
      forgeToken(honestHeader, JSON.stringify(honestClaims).replace(/"exp":\d+/, '"exp":1e999')),
      'TOKEN_CLAIMS',
      'exp claim',
    ],
    ['that has expired', withClaims({ exp: now / 1000 - 61 }), 'TOKEN_EXPIRED', 'token has expired'],
    ['that is not valid yet', withClaims({ nbf: now / 1000 + 61 }), 'TOKEN_NOT_YET_VALID', 'not valid yet'],
    ['from the future', withClaims({ iat: now / 1000 + 61 }), 'TOKEN_NOT_YET_VALID', 'issued in the future'],
    ['for nobody', withClaims({ aud: [] }), 'TOKEN_AUDIENCE', 'token has no audience'],
    ['without an audience', withClaims({ aud: undefined }), 'TOKEN_AUDIENCE', 'token has no audience'],
    ['with a number for an audience', withClaims({ aud: ['other', 1] }), 'TOKEN_AUDIENCE', 'token has no audience'],
    ['for someone else', withClaims({ aud: ['Other'] }), 'TOKEN_AUDIENCE', 'token is for ["Other"], want ["other"]'],
  ])('%s', (_, text, code, message) => {
    expectRefusal(() => verify(text), code, message);
  });

  test('when nobody is expected', () => {
    expectRefusal(() => verify(token, { audience: [] }), 'TOKEN_AUDIENCE');
  });

  test('one leeway after its end, and at once where there is no leeway', () => {
    expectRefusal(() => verify(token, { now: now + 300_000 + 60_001 }), 'TOKEN_EXPIRED');
    expectRefusal(() => verify(token, { now: now + 300_001, leewayMs: 0 }), 'TOKEN_EXPIRED');
    expect(verify(token, { now: now + 300_000, leewayMs: 0 }).expiresAt).toBe(now + 300_000);
  });

  test('with the signature in DER', () => {
    const der = input.signer.sign(Buffer.from(`${header}.${claims}`));
    expectRefusal(() => verify(`${header}.${claims}.${Buffer.from(der).toString('base64url')}`), 'TOKEN_SIGNATURE');
  });

  test('with a signature of zeros', () => {
    expectRefusal(() => verify(`${header}.${claims}.${Buffer.alloc(64).toString('base64url')}`), 'TOKEN_SIGNATURE');
  });

  test('with any character changed or cut off, and never repeated in the message', () => {
    const accepted: string[] = [];
    for (let at = 0; at < token.length; at += 1) {
      for (const character of ['A', 'z', '.', '=', '\0']) {
        if (token[at] === character) continue;
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        for (const text of [changed, token.slice(0, at)]) {
          try {
            verify(text);
            accepted.push(text);
          } catch (error) {
            if (!(error instanceof PkiError)) throw error;
            expect(error.message).not.toContain(signature);
          }
        }
      }
    }
    expect(accepted).toEqual([]);
  });
});

describe('a token is not signed', () => {
  test.each<[string, object, PkiErrorCode]>([
    ['for nobody', { audience: ['', ''] }, 'TOKEN_AUDIENCE'],
    ['without a key ID', { keyId: '' }, 'TOKEN_KEY_ID'],
    ['with an end before its beginning', { expiresAt: now - hour }, 'TOKEN_EXPIRY'],
    [
      'with an algorithm that tokens do not know',
      { signer: { ...input.signer, algorithm: 'ed25519' } },
      'TOKEN_ALGORITHM',
    ],
  ])('%s', (_, changes, code) => {
    expectRefusal(() => signJwtSvid({ ...input, ...changes }), code);
  });
});
