// The SPIFFE bundle document (SPIFFE Trust Domain and Bundle §4): a JWK set whose keys are used for `x509-svid` or `jwt-svid`.
// Key material is checked by node:crypto; a key of unknown use is passed over, as the standard asks, a broken key of known use is not.
import { X509Certificate, createPublicKey } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { SpiffeError } from './errors.ts';
import type { SpiffeErrorCode } from './errors.ts';
import { checkJsonDepth } from './json-depth.ts';
import type { JwtAuthority, TrustBundle, X509Authority } from './bundle.ts';
import type { TrustDomain } from './trust-domain.ts';

type Json = Readonly<Record<string, unknown>>;

/** The document's text, indented; fields in the order in which SPIRE writes them. */
export function encodeSpiffeBundle(bundle: TrustBundle): string {
  const keys = [...bundle.x509Authorities.map(encodeX509Authority), ...bundle.jwtAuthorities.map(encodeJwtAuthority)];
  const document = {
    keys,
    ...(bundle.sequenceNumber === 0 ? {} : { spiffe_sequence: bundle.sequenceNumber }),
    ...(bundle.refreshHintSeconds === 0 ? {} : { spiffe_refresh_hint: bundle.refreshHintSeconds }),
  };
  return JSON.stringify(document, undefined, 4);
}

export function parseSpiffeBundle(trustDomain: TrustDomain, text: string): TrustBundle {
  return parseBundle(trustDomain, parseObject(text), ({ use }) => use);
}

/** JWT authorities as the Workload API gives them: a plain JWK set (RFC 7517 §5), in which `use` may be left out. */
export function parseJwkSet(trustDomain: TrustDomain, text: string): TrustBundle {
  const bundle = parseBundle(trustDomain, parseObject(text), ({ use = 'jwt-svid' }) => use);
  return { ...bundle, x509Authorities: [] };
}

function parseBundle(trustDomain: TrustDomain, document: Json, useOf: (key: Json) => unknown): TrustBundle {
  const keys = document['keys'];
  if (!Array.isArray(keys)) throw malformed('"keys" is missing or is not a list');
  const x509Authorities: X509Authority[] = [];
  const jwtAuthorities = new Map<string, JwtAuthority>();
  for (const [index, key] of keys.entries()) {
    if (!isObject(key)) throw malformed(`key ${index} is not an object`);
    const use = useOf(key);
    if (use === 'x509-svid') x509Authorities.push(parseX509Authority(index, key));
    if (use === 'jwt-svid') {
      const authority = parseJwtAuthority(index, key);
      if (jwtAuthorities.has(authority.keyId)) {
        throw refuse('BUNDLE_JWT_AUTHORITY', index, `repeats the key ID ${JSON.stringify(authority.keyId)}`);
      }
      jwtAuthorities.set(authority.keyId, authority);
    }
  }
  return {
    trustDomain,
    x509Authorities,
    jwtAuthorities: [...jwtAuthorities.values()],
    refreshHintSeconds: parseCount(document, 'spiffe_refresh_hint'),
    sequenceNumber: parseCount(document, 'spiffe_sequence'),
  };
}

function encodeX509Authority({ asn1 }: X509Authority): Json {
  const { publicKey } = new X509Certificate(asn1);
  return { use: 'x509-svid', ...encodeKey(publicKey), x5c: [Buffer.from(asn1).toString('base64')] };
}

function encodeJwtAuthority({ keyId, publicKey }: JwtAuthority): Json {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  const { kty, ...numbers } = encodeKey(key);
  return { use: 'jwt-svid', kty, kid: keyId, ...numbers };
}

function encodeKey(key: KeyObject): JsonWebKey {
  const { kty, crv, x, y, n, e } = key.export({ format: 'jwk' });
  return kty === 'RSA' ? ({ kty, n, e } as JsonWebKey) : ({ kty, crv, x, y } as JsonWebKey);
}

/** An X.509 authority is exactly one certificate; the key beside it says nothing new and is not read. */
function parseX509Authority(index: number, key: Json): X509Authority {
  const certificates: readonly unknown[] = Array.isArray(key['x5c']) ? key['x5c'] : [];
  const [text] = certificates;
  if (certificates.length !== 1 || typeof text !== 'string') {
    throw refuse('BUNDLE_X509_AUTHORITY', index, 'must have exactly one certificate in "x5c"');
  }
  const asn1 = Buffer.from(text, 'base64');
  // Buffer skips what is not base64; a certificate that does not come back as it was written was not read whole.
  if (asn1.toString('base64') !== text)
    throw refuse('BUNDLE_X509_AUTHORITY', index, 'has a certificate that is not base64');
  try {
    // OpenSSL reads the first certificate and ignores what follows it.
    const { raw } = new X509Certificate(asn1);
    if (raw.length === asn1.length) return { asn1: new Uint8Array(asn1) };
  } catch (cause) {
    throw refuse('BUNDLE_X509_AUTHORITY', index, 'has a certificate that cannot be read', cause);
  }
  throw refuse('BUNDLE_X509_AUTHORITY', index, 'has bytes after its certificate');
}

function parseJwtAuthority(index: number, key: Json): JwtAuthority {
  const keyId = key['kid'];
  if (typeof keyId !== 'string' || keyId === '') throw refuse('BUNDLE_JWT_AUTHORITY', index, 'has no key ID');
  if (key['kty'] !== 'EC' && key['kty'] !== 'RSA')
    throw refuse('BUNDLE_JWT_AUTHORITY', index, 'is neither an EC nor an RSA key');
  if ('d' in key) throw refuse('BUNDLE_JWT_AUTHORITY', index, 'is a private key');
  try {
    const publicKey = createPublicKey({ key, format: 'jwk' });
    return { keyId, publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })), expiresAt: 0 };
  } catch (cause) {
    throw refuse('BUNDLE_JWT_AUTHORITY', index, 'has a public key that cannot be read', cause);
  }
}

function parseObject(text: string): Json {
  let document: unknown;
  try {
    checkJsonDepth(text);
    document = JSON.parse(text);
  } catch (cause) {
    throw malformed('it is not JSON, or nested too deep', cause);
  }
  if (!isObject(document)) throw malformed('it is not an object');
  return document;
}

function parseCount(document: Json, field: string): number {
  const value = document[field];
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw malformed(`${JSON.stringify(field)} is not a whole number from 0 up`);
  }
  return value;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError('BUNDLE_FORMAT', `malformed bundle: ${reason}`, cause === undefined ? undefined : { cause });
}

function refuse(code: SpiffeErrorCode, index: number, reason: string, cause?: unknown): SpiffeError {
  return new SpiffeError(code, `malformed bundle: key ${index} ${reason}`, cause === undefined ? undefined : { cause });
}
