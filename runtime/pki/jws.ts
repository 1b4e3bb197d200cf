// JSON Web Signatures in compact form (RFC 7515), for the nine algorithms of JWT-SVID §3 and no others.
import type { KeyObject } from 'node:crypto';
import { checkJsonDepth } from '../spiffe/json-depth.ts';
import { readWhole } from './der/reader.ts';
import { integer, sequence } from './der/writer.ts';
import { refuse } from './errors.ts';
import { verifySignature } from './signature-algorithm.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';
import type { Signer } from './signer.ts';

interface JwsScheme {
  readonly signature: SignatureAlgorithm;
  /** Elliptic curves come with their algorithm (RFC 7518 §3.4): its name, and the bytes of one coordinate. */
  readonly curve?: { readonly name: string; readonly width: number };
}

export const jwsAlgorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const;

export type JwsAlgorithm = (typeof jwsAlgorithms)[number];

const schemes: Record<JwsAlgorithm, JwsScheme> = {
  ES256: { signature: 'ecdsa-sha256', curve: { name: 'prime256v1', width: 32 } },
  ES384: { signature: 'ecdsa-sha384', curve: { name: 'secp384r1', width: 48 } },
  ES512: { signature: 'ecdsa-sha512', curve: { name: 'secp521r1', width: 66 } },
  RS256: { signature: 'rsa-sha256' },
  RS384: { signature: 'rsa-sha384' },
  RS512: { signature: 'rsa-sha512' },
  PS256: { signature: 'rsa-pss-sha256' },
  PS384: { signature: 'rsa-pss-sha384' },
  PS512: { signature: 'rsa-pss-sha512' },
};

/** The parts of a compact JWS as they were sent; nothing is verified yet. */
export interface CompactJws {
  readonly header: Record<string, unknown>;
  readonly payload: Record<string, unknown>;
  readonly signingInput: string;
  readonly signature: Uint8Array;
}

const maxTokenLength = 64 * 1024;

export function parseCompactJws(token: string): CompactJws {
  if (token.length > maxTokenLength)
    throw refuse('TOKEN_FORMAT', `token of ${token.length} characters, at most ${maxTokenLength} are read`);
  const [header, payload, signature, ...others] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || others.length > 0) {
    throw refuse('TOKEN_FORMAT', 'token does not have three parts');
  }
  return {
    header: decodeObject(header, 'header'),
    payload: decodeObject(payload, 'payload'),
    signingInput: `${header}.${payload}`,
    signature: decodeBase64url(signature, 'signature'),
  };
}

/** The one algorithm that a signer's signatures have here. */
export function jwsAlgorithmOf(signer: Signer): JwsAlgorithm {
  const algorithm = jwsAlgorithms.find((name) => schemes[name].signature === signer.algorithm);
  if (algorithm === undefined) throw refuse('TOKEN_ALGORITHM', `no token can be signed with ${signer.algorithm}`);
  return algorithm;
}

/** `header` gets its `alg` from the signer. */
export function signCompactJws(signer: Signer, header: object, payload: object): string {
  const alg = jwsAlgorithmOf(signer);
  const signingInput = `${encodeObject({ alg, ...header })}.${encodeObject(payload)}`;
  const signature = signer.sign(Buffer.from(signingInput, 'ascii'));
  const { curve } = schemes[alg];
  const flat = curve === undefined ? signature : flatSignature(signature, curve.width);
  return `${signingInput}.${Buffer.from(flat).toString('base64url')}`;
}

export function parseJwsAlgorithm(value: unknown): JwsAlgorithm {
  const algorithm = jwsAlgorithms.find((name) => name === value);
  if (algorithm === undefined)
    throw refuse('TOKEN_ALGORITHM', `token algorithm ${JSON.stringify(value)} is not allowed`);
  return algorithm;
}

/** The algorithm must be one for this very key, or a public key could be passed off as a secret. */
export function verifyCompactJws(jws: CompactJws, algorithm: JwsAlgorithm, publicKey: KeyObject): boolean {
  const { signature: name, curve } = schemes[algorithm];
  const data = Buffer.from(jws.signingInput, 'ascii');
  if (curve === undefined) return verifySignature(name, publicKey, data, jws.signature);
  if (publicKey.asymmetricKeyDetails?.namedCurve !== curve.name || jws.signature.length !== 2 * curve.width)
    return false;
  const halves = [jws.signature.subarray(0, curve.width), jws.signature.subarray(curve.width)];
  return verifySignature(name, publicKey, data, sequence(...halves.map(integer)));
}

/** r and s one after the other, each as wide as the curve (RFC 7518 §3.4), from the DER that signers make. */
function flatSignature(der: Uint8Array, width: number): Uint8Array {
  return readWhole(der, (reader) => {
    const numbers = reader.sequence();
    const flat = new Uint8Array(2 * width);
    for (const end of [width, 2 * width]) {
      const encoded = numbers.integer();
      const digits = encoded[0] === 0 ? encoded.subarray(1) : encoded;
      if (digits.length > width)
        throw refuse('TOKEN_SIGNATURE', `signature number of ${digits.length} bytes, want ${width}`);
      flat.set(digits, end - digits.length);
    }
    numbers.finish();
    return flat;
  });
}

function encodeObject(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

function decodeObject(text: string, part: string): Record<string, unknown> {
  const value = parseJson(decodeBase64url(text, part), part);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse('TOKEN_FORMAT', `token's ${part} is not an object`);
  }
  return value as Record<string, unknown>;
}

function parseJson(bytes: Uint8Array, part: string): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    checkJsonDepth(text);
    return JSON.parse(text);
  } catch (cause) {
    throw refuse('TOKEN_FORMAT', `token's ${part} is not JSON`, cause);
  }
}

/** RFC 7515 §2: no padding; and no second spelling of the same bytes. */
function decodeBase64url(text: string, part: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (text === '' || bytes.toString('base64url') !== text)
    throw refuse('TOKEN_FORMAT', `token's ${part} is not base64url`);
  return bytes;
}
