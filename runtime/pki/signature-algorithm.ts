// The signature algorithms of certificates: their encodings, and their verification by OpenSSL. No MD5, no SHA-1, no DSA.
import { constants, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encodeOid } from './der/oid.ts';
import { contextConstructed } from './der/tags.ts';
import { derNull, element, sequence, smallInteger } from './der/writer.ts';
import { refuse } from './errors.ts';

export const signatureAlgorithms = [
  'ecdsa-sha256',
  'ecdsa-sha384',
  'ecdsa-sha512',
  'rsa-sha256',
  'rsa-sha384',
  'rsa-sha512',
  'rsa-pss-sha256',
  'rsa-pss-sha384',
  'rsa-pss-sha512',
  'ed25519',
] as const;

export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

export interface SignatureScheme {
  /** node:crypto's name for the key that it needs. */
  readonly keyType: 'ec' | 'rsa' | 'ed25519';
  readonly digest: 'sha256' | 'sha384' | 'sha512' | null;
  /** The salt's length marks the probabilistic scheme. */
  readonly pssSaltLength?: number;
}

const schemes: Record<SignatureAlgorithm, SignatureScheme> = {
  'ecdsa-sha256': { keyType: 'ec', digest: 'sha256' },
  'ecdsa-sha384': { keyType: 'ec', digest: 'sha384' },
  'ecdsa-sha512': { keyType: 'ec', digest: 'sha512' },
  'rsa-sha256': { keyType: 'rsa', digest: 'sha256' },
  'rsa-sha384': { keyType: 'rsa', digest: 'sha384' },
  'rsa-sha512': { keyType: 'rsa', digest: 'sha512' },
  'rsa-pss-sha256': { keyType: 'rsa', digest: 'sha256', pssSaltLength: 32 },
  'rsa-pss-sha384': { keyType: 'rsa', digest: 'sha384', pssSaltLength: 48 },
  'rsa-pss-sha512': { keyType: 'rsa', digest: 'sha512', pssSaltLength: 64 },
  ed25519: { keyType: 'ed25519', digest: null },
};

const sha256 = '2.16.840.1.101.3.4.2.1';
const sha384 = '2.16.840.1.101.3.4.2.2';
const sha512 = '2.16.840.1.101.3.4.2.3';

/** The AlgorithmIdentifier that we write; a few others are read as well. */
const encodings: Record<SignatureAlgorithm, Uint8Array> = {
  'ecdsa-sha256': sequence(encodeOid('1.2.840.10045.4.3.2')),
  'ecdsa-sha384': sequence(encodeOid('1.2.840.10045.4.3.3')),
  'ecdsa-sha512': sequence(encodeOid('1.2.840.10045.4.3.4')),
  'rsa-sha256': sequence(encodeOid('1.2.840.113549.1.1.11'), derNull()),
  'rsa-sha384': sequence(encodeOid('1.2.840.113549.1.1.12'), derNull()),
  'rsa-sha512': sequence(encodeOid('1.2.840.113549.1.1.13'), derNull()),
  'rsa-pss-sha256': pssIdentifier(sequence(encodeOid(sha256), derNull()), 32),
  'rsa-pss-sha384': pssIdentifier(sequence(encodeOid(sha384), derNull()), 48),
  'rsa-pss-sha512': pssIdentifier(sequence(encodeOid(sha512), derNull()), 64),
  ed25519: sequence(encodeOid('1.3.101.112')),
};

/** RFC 4055 §2.1 lets the hash's NULL parameters be left out. */
const variants: readonly (readonly [SignatureAlgorithm, Uint8Array])[] = [
  ['rsa-pss-sha256', pssIdentifier(sequence(encodeOid(sha256)), 32)],
  ['rsa-pss-sha384', pssIdentifier(sequence(encodeOid(sha384)), 48)],
  ['rsa-pss-sha512', pssIdentifier(sequence(encodeOid(sha512)), 64)],
];

function pssIdentifier(hash: Uint8Array, saltLength: number): Uint8Array {
  const maskGeneration = sequence(encodeOid('1.2.840.113549.1.1.8'), hash);
  const parameters = sequence(
    element(contextConstructed(0), hash),
    element(contextConstructed(1), maskGeneration),
    element(contextConstructed(2), smallInteger(saltLength)),
  );
  return sequence(encodeOid('1.2.840.113549.1.1.10'), parameters);
}

const byEncoding = new Map<string, SignatureAlgorithm>([
  ...signatureAlgorithms.map((name) => [keyOf(encodings[name]), name] as const),
  ...variants.map(([name, der]) => [keyOf(der), name] as const),
]);

function keyOf(der: Uint8Array): string {
  return Buffer.from(der.buffer, der.byteOffset, der.length).toString('latin1');
}

export function schemeOf(algorithm: SignatureAlgorithm): SignatureScheme {
  return schemes[algorithm];
}

export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  return encodings[algorithm];
}

/** Matches the whole AlgorithmIdentifier, so no parameter goes unread. */
export function parseSignatureAlgorithm(der: Uint8Array): SignatureAlgorithm {
  const algorithm = byEncoding.get(keyOf(der));
  if (algorithm === undefined) {
    throw refuse('SIGNATURE_ALGORITHM', `signature algorithm ${Buffer.from(der).toString('hex')} is not supported`);
  }
  return algorithm;
}

/** False for a bad signature and for a key of the wrong kind alike. */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  publicKey: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { keyType, digest, pssSaltLength } = schemes[algorithm];
  if (publicKey.asymmetricKeyType !== keyType) return false;
  const key =
    pssSaltLength === undefined
      ? publicKey
      : { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: pssSaltLength };
  try {
    return verify(digest, data, key, signature);
  } catch {
    return false; // OpenSSL throws on some malformed signatures: those are bad signatures too
  }
}
