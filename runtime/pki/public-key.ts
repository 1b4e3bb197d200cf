// Public keys from outside: the encoding is checked by hand before OpenSSL sees it, and weak or exotic keys are refused.
import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { DerReader } from './der/reader.ts';
import { readWhole } from './der/reader.ts';
import { tags } from './der/tags.ts';
import { PkiError, refuse } from './errors.ts';

const ecPublicKey = '1.2.840.10045.2.1';
const rsaEncryption = '1.2.840.113549.1.1.1';
const ed25519 = '1.3.101.112';

/** Bytes of an uncompressed point, by curve. */
const points = new Map([
  ['1.2.840.10045.3.1.7', 65],
  ['1.3.132.0.34', 97],
  ['1.3.132.0.35', 133],
]);

const rsaBits = { least: 2048, most: 8192 };

/** OpenSSL takes longer to encode a key than to sign with it, and what the checks below let in is already in the form that it writes. */
const encoded = new WeakMap<KeyObject, Uint8Array>();

/** Refuses keys that could not be trusted or would cost too much to use, without using them. */
export function checkPublicKey(spki: Uint8Array): void {
  namingPublicKey(() => readWhole(spki, checkPublicKeyInfo));
}

/** A key from its SubjectPublicKeyInfo, checked. */
export function parsePublicKey(spki: Uint8Array): KeyObject {
  checkPublicKey(spki);
  return namingPublicKey(() => {
    const publicKey = createPublicKey(pemOf(spki));
    encoded.set(publicKey, new Uint8Array(spki));
    return publicKey;
  });
}

/** Node takes text three times as fast as DER, for which it first asks in vain whether the argument is a key. */
function pemOf(spki: Uint8Array): string {
  const { buffer, byteOffset, length } = spki;
  return `-----BEGIN PUBLIC KEY-----\n${Buffer.from(buffer, byteOffset, length).toString('base64')}\n-----END PUBLIC KEY-----\n`;
}

/** Faults in the encoding, and OpenSSL's own, are faults of the key. */
function namingPublicKey<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof PkiError && cause.code === 'PUBLIC_KEY') throw cause;
    throw refuse('PUBLIC_KEY', 'public key does not decode', cause);
  }
}

/** The SubjectPublicKeyInfo of a key. */
export function encodePublicKey(publicKey: KeyObject): Uint8Array {
  const known = encoded.get(publicKey);
  if (known !== undefined) return known;
  const der = publicKey.export({ format: 'der', type: 'spki' });
  const spki = new Uint8Array(der.buffer, der.byteOffset, der.length);
  encoded.set(publicKey, spki);
  return spki;
}

/** The bits inside a SubjectPublicKeyInfo, as key identifiers hash them. */
export function publicKeyBits(spki: Uint8Array): Uint8Array {
  return readWhole(spki, (reader) => {
    const info = reader.sequence();
    info.whole(tags.sequence);
    const bits = info.bitString();
    info.finish();
    return bits;
  });
}

function checkPublicKeyInfo(reader: DerReader): void {
  const info = reader.sequence();
  const algorithm = info.sequence();
  const oid = algorithm.oid();
  const bits = info.bitString();
  info.finish();
  if (oid === ecPublicKey) return checkEcKey(algorithm, bits);
  if (oid === rsaEncryption) return checkRsaKey(algorithm, bits);
  if (oid === ed25519) return checkEd25519Key(algorithm, bits);
  throw refuse('PUBLIC_KEY', `public key algorithm ${oid} is not supported`);
}

/** RFC 5480 §2.1.1: the curve is named; explicit parameters let the sender choose the group. */
function checkEcKey(algorithm: DerReader, bits: Uint8Array): void {
  if (algorithm.nextTag !== tags.objectIdentifier) throw refuse('PUBLIC_KEY', 'curve is not a named one');
  const curve = algorithm.oid();
  algorithm.finish();
  const length = points.get(curve);
  if (length === undefined) throw refuse('PUBLIC_KEY', `curve ${curve} is not P-256, P-384 or P-521`);
  if (bits.length !== length || bits[0] !== 4) throw refuse('PUBLIC_KEY', 'point is not in uncompressed form');
}

function checkRsaKey(algorithm: DerReader, bits: Uint8Array): void {
  algorithm.null();
  algorithm.finish();
  const [modulus, exponent] = readWhole(bits, (reader) => {
    const key = reader.sequence();
    const numbers = [key.integer(), key.integer()] as const;
    key.finish();
    return numbers;
  });
  if ((modulus[0] ?? 0) >= 0x80) throw refuse('PUBLIC_KEY', 'RSA modulus is negative');
  const size = bitLength(modulus);
  if (size < rsaBits.least || size > rsaBits.most) {
    throw refuse('PUBLIC_KEY', `RSA key of ${size} bits, want ${rsaBits.least} to ${rsaBits.most}`);
  }
  if (((modulus.at(-1) ?? 0) & 1) === 0) throw refuse('PUBLIC_KEY', 'RSA modulus is even');
  checkRsaExponent(exponent);
}

/** Small exponents invite forgeries, large ones make each verification dear. */
function checkRsaExponent(exponent: Uint8Array): void {
  if ((exponent[0] ?? 0) >= 0x80 || exponent.length > 4)
    throw refuse('PUBLIC_KEY', 'RSA exponent is negative or too large');
  const value = exponent.reduce((sum, byte) => sum * 256 + byte, 0);
  if (value < 65537) throw refuse('PUBLIC_KEY', `RSA exponent ${value} is below 65537`);
  if (value % 2 === 0) throw refuse('PUBLIC_KEY', `RSA exponent ${value} is even`);
}

function checkEd25519Key(algorithm: DerReader, bits: Uint8Array): void {
  algorithm.finish();
  if (bits.length !== 32) throw refuse('PUBLIC_KEY', `Ed25519 key of ${bits.length} bytes`);
}

function bitLength(magnitude: Uint8Array): number {
  const start = magnitude.findIndex((byte) => byte !== 0);
  if (start === -1) return 0;
  return (magnitude.length - start) * 8 - Math.clz32(magnitude[start] ?? 0) + 24;
}
