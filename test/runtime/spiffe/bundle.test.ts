// Bundles as values (merged, compared) and as SPIFFE bundle documents.
import { X509Certificate, createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bundlesEqual,
  emptyBundle,
  encodeSpiffeBundle,
  mergeBundles,
  parseJwkSet,
  parseSpiffeBundle,
} from '../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../runtime/spiffe/bundle.ts';
import { SpiffeError } from '../../../runtime/spiffe/errors.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { ecCertificate, ecPublicKey, rsaCertificate } from './bundle-fixtures.ts';
import { refusalOf } from './refusal.ts';

const trustDomain = parseTrustDomain('td.test');
const jwtKey: Record<string, unknown> = { kty: 'EC', use: 'jwt-svid', kid: 'k1', ...jwkOf(ecPublicKey) };
const x509Key = { kty: 'EC', use: 'x509-svid', ...jwkOf(ecPublicKey), x5c: [base64(ecCertificate)] };

const full: TrustBundle = {
  trustDomain,
  x509Authorities: [{ asn1: ecCertificate }, { asn1: rsaCertificate }],
  jwtAuthorities: [{ keyId: 'k1', publicKey: ecPublicKey, expiresAt: 0 }],
  refreshHintSeconds: 300,
  sequenceNumber: 7,
};

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function jwkOf(spki: Uint8Array): Record<string, unknown> {
  return { ...createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({ format: 'jwk' }) };
}

const parse = (document: unknown) => parseSpiffeBundle(trustDomain, JSON.stringify(document));

describe('mergeBundles', () => {
  it('adds what only the other has, and keeps hint and sequence number', () => {
    const base = { ...full, x509Authorities: [{ asn1: rsaCertificate }], jwtAuthorities: [] };
    const { bundle, changed } = mergeBundles(base, { ...full, sequenceNumber: 99, refreshHintSeconds: 1 });
    expect(changed).toBe(true);
    expect(bundle).toEqual({
      ...full,
      x509Authorities: [{ asn1: rsaCertificate }, { asn1: ecCertificate }],
    });
  });

  it('gives the base itself back when nothing is new', () => {
    const { bundle, changed } = mergeBundles(full, full);
    expect(changed).toBe(false);
    expect(bundle).toBe(full);
  });

  it('adds an authority once that comes twice', () => {
    const twice = { ...full, x509Authorities: [{ asn1: ecCertificate }, { asn1: ecCertificate }] };
    expect(mergeBundles(emptyBundle(trustDomain), twice).bundle.x509Authorities).toHaveLength(1);
  });

  it('does not clear a tainted mark', () => {
    const tainted = { ...full, x509Authorities: [{ asn1: ecCertificate, tainted: true }] };
    expect(mergeBundles(tainted, full).bundle.x509Authorities[0]).toEqual({ asn1: ecCertificate, tainted: true });
  });

  it('does not replace a key of the same ID', () => {
    const other = { ...full, jwtAuthorities: [{ keyId: 'k1', publicKey: rsaCertificate, expiresAt: 5 }] };
    expect(mergeBundles(full, other).changed).toBe(false);
  });

  it('refuses a bundle of another trust domain', () => {
    expect(refusalOf(() => mergeBundles(full, emptyBundle(parseTrustDomain('other.test'))))).toEqual({
      code: 'TRUST_DOMAIN_MISMATCH',
      message: 'cannot merge a bundle of other.test into the bundle of td.test',
    });
  });

  it('leaves its input as it was', () => {
    const base = Object.freeze({ ...emptyBundle(trustDomain), x509Authorities: Object.freeze([]) });
    mergeBundles(base, full);
    expect(base.x509Authorities).toEqual([]);
  });
});

describe('bundlesEqual', () => {
  it('does not look at the order of authorities', () => {
    expect(bundlesEqual(full, { ...full, x509Authorities: [...full.x509Authorities].reverse() })).toBe(true);
  });

  it('takes a missing tainted mark for false', () => {
    const marked = full.x509Authorities.map(({ asn1 }) => ({ asn1, tainted: false }));
    expect(bundlesEqual(full, { ...full, x509Authorities: marked })).toBe(true);
  });

  it.each<[string, Partial<TrustBundle>]>([
    ['trust domain', { trustDomain: parseTrustDomain('other.test') }],
    ['sequence number', { sequenceNumber: 8 }],
    ['refresh hint', { refreshHintSeconds: 0 }],
    ['missing authority', { x509Authorities: full.x509Authorities.slice(1) }],
    ['doubled authority', { x509Authorities: [{ asn1: ecCertificate }, { asn1: ecCertificate }] }],
    ['tainted authority', { x509Authorities: [{ asn1: ecCertificate, tainted: true }, { asn1: rsaCertificate }] }],
    ['key', { jwtAuthorities: [{ keyId: 'k1', publicKey: ecCertificate, expiresAt: 0 }] }],
    ['key ID', { jwtAuthorities: [{ keyId: 'k2', publicKey: ecPublicKey, expiresAt: 0 }] }],
    ['expiry of a key', { jwtAuthorities: [{ keyId: 'k1', publicKey: ecPublicKey, expiresAt: 1 }] }],
  ])('sees another %s', (_what, change) => {
    expect(bundlesEqual(full, { ...full, ...change })).toBe(false);
    expect(bundlesEqual({ ...full, ...change }, full)).toBe(false);
  });
});

describe('encodeSpiffeBundle', () => {
  it('writes every authority for its use', () => {
    const rsa = new X509Certificate(rsaCertificate).publicKey.export({ format: 'jwk' });
    expect(JSON.parse(encodeSpiffeBundle(full))).toEqual({
      keys: [x509Key, { use: 'x509-svid', kty: 'RSA', n: rsa.n, e: 'AQAB', x5c: [base64(rsaCertificate)] }, jwtKey],
      spiffe_sequence: 7,
      spiffe_refresh_hint: 300,
    });
  });

  it('leaves out a sequence number and a hint of zero', () => {
    expect(JSON.parse(encodeSpiffeBundle(emptyBundle(trustDomain)))).toEqual({ keys: [] });
  });

  it('is read back as it was', () => {
    const again = parseSpiffeBundle(trustDomain, encodeSpiffeBundle(full));
    expect(bundlesEqual(again, full)).toBe(true);
  });
});

describe('parseSpiffeBundle', () => {
  it('passes over keys of unknown or no use', () => {
    const strangers = [{ use: 'wit-svid', kty: '?' }, { kty: 'EC' }, { use: 'sig' }, {}];
    expect(bundlesEqual(parse({ keys: strangers }), emptyBundle(trustDomain))).toBe(true);
  });

  it.each<[string, unknown, string, string]>([
    ['a list', [], 'BUNDLE_FORMAT', 'malformed bundle: it is not an object'],
    ['null', null, 'BUNDLE_FORMAT', 'malformed bundle: it is not an object'],
    ['no keys', {}, 'BUNDLE_FORMAT', 'malformed bundle: "keys" is missing or is not a list'],
    ['null keys', { keys: null }, 'BUNDLE_FORMAT', 'malformed bundle: "keys" is missing or is not a list'],
    ['a key that is text', { keys: ['x'] }, 'BUNDLE_FORMAT', 'malformed bundle: key 0 is not an object'],
    ...[-1, 1.5, '7', 2 ** 53, null].map((value): [string, unknown, string, string] => [
      `the sequence number ${JSON.stringify(value)}`,
      { keys: [], spiffe_sequence: value },
      'BUNDLE_FORMAT',
      'malformed bundle: "spiffe_sequence" is not a whole number from 0 up',
    ]),
    [
      'a hint that is negative',
      { keys: [], spiffe_refresh_hint: -5 },
      'BUNDLE_FORMAT',
      'malformed bundle: "spiffe_refresh_hint" is not a whole number from 0 up',
    ],
  ])('refuses %s', (_what, document, code, message) => {
    expect(refusalOf(() => parse(document))).toEqual({ code, message });
  });

  const oneCertificate = 'must have exactly one certificate in "x5c"';
  it.each<[string, unknown, string]>([
    ['no certificate', undefined, oneCertificate],
    ['an empty list', [], oneCertificate],
    ['two certificates', [base64(ecCertificate), base64(ecCertificate)], oneCertificate],
    ['text for a list', base64(ecCertificate), oneCertificate],
    ['a number', [1], oneCertificate],
    ['text that is not base64', ['***'], 'has a certificate that is not base64'],
    ['base64 with a line break', [`${base64(ecCertificate).slice(0, 8)}\n`], 'has a certificate that is not base64'],
    ['empty text', [''], 'has a certificate that cannot be read'],
    ['bytes that are no certificate', ['AAAA'], 'has a certificate that cannot be read'],
    ['half a certificate', [base64(ecCertificate.slice(0, 90))], 'has a certificate that cannot be read'],
    [
      'a certificate and more',
      [base64(Buffer.concat([ecCertificate, ecCertificate]))],
      'has bytes after its certificate',
    ],
  ])('refuses an X.509 authority with %s', (_what, x5c, reason) => {
    expect(refusalOf(() => parse({ keys: [{ ...x509Key, x5c }] }))).toEqual({
      code: 'BUNDLE_X509_AUTHORITY',
      message: `malformed bundle: key 0 ${reason}`,
    });
  });

  const privateJwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  it.each<[string, Record<string, unknown>, string]>([
    ['no key ID', { ...jwtKey, kid: undefined }, 'has no key ID'],
    ['an empty key ID', { ...jwtKey, kid: '' }, 'has no key ID'],
    ['a number for a key ID', { ...jwtKey, kid: 1 }, 'has no key ID'],
    ['a symmetric key', { use: 'jwt-svid', kid: 'k', kty: 'oct', k: 'AAAA' }, 'is neither an EC nor an RSA key'],
    ['no key type', { ...jwtKey, kty: undefined }, 'is neither an EC nor an RSA key'],
    ['a private key', { use: 'jwt-svid', kid: 'k', ...privateJwk }, 'is a private key'],
    ['a point off the curve', { ...jwtKey, x: jwtKey['y'] }, 'has a public key that cannot be read'],
    ['no coordinates', { ...jwtKey, x: undefined }, 'has a public key that cannot be read'],
    ['an unknown curve', { ...jwtKey, crv: 'P-999' }, 'has a public key that cannot be read'],
  ])('refuses a JWT authority with %s', (_what, key, reason) => {
    expect(refusalOf(() => parse({ keys: [key] }))).toEqual({
      code: 'BUNDLE_JWT_AUTHORITY',
      message: `malformed bundle: key 0 ${reason}`,
    });
  });

  it('refuses two JWT authorities of one key ID', () => {
    expect(refusalOf(() => parse({ keys: [jwtKey, jwtKey] }))).toEqual({
      code: 'BUNDLE_JWT_AUTHORITY',
      message: 'malformed bundle: key 1 repeats the key ID "k1"',
    });
  });

  it('refuses what is not JSON, and keeps the reason', () => {
    expect(() => parseSpiffeBundle(trustDomain, '{"keys":[')).toThrow(
      expect.objectContaining({ code: 'BUNDLE_FORMAT', cause: expect.any(SyntaxError) as unknown }),
    );
  });

  it('survives any JSON', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('x509-svid', 'jwt-svid'), (json, use) => {
        for (const text of [json, `{"keys":[${json}]}`, `{"keys":[{"use":"${use}","kid":${json},"x5c":[${json}]}]}`]) {
          try {
            parseSpiffeBundle(trustDomain, text);
          } catch (error) {
            if (!(error instanceof SpiffeError)) throw error;
          }
        }
      }),
    );
  });
});

describe('parseJwkSet', () => {
  const authorities = (...keys: unknown[]) =>
    parseJwkSet(trustDomain, JSON.stringify({ keys })).jwtAuthorities.map(({ keyId }) => keyId);
  const plain: Record<string, unknown> = { kty: 'EC', kid: 'k1', ...jwkOf(ecPublicKey) };

  it('takes keys for JWTs that do not say so, as the Workload API writes them', () => {
    expect(authorities(plain, { ...jwtKey, kid: 'k2' })).toEqual(['k1', 'k2']);
  });

  it('passes over keys of another use', () => {
    expect(authorities({ ...plain, use: 'sig' })).toEqual([]);
    expect(parseJwkSet(trustDomain, JSON.stringify({ keys: [x509Key] })).x509Authorities).toEqual([]);
  });

  it.each([
    ['no key ID', { ...plain, kid: '' }],
    ['a private key', { ...plain, d: 'AA' }],
    ['no key', { kid: 'k1' }],
  ])('refuses %s', (_name, key) => {
    expect(() => authorities(key)).toThrow(SpiffeError);
  });
});
