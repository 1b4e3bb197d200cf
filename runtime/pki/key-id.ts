// Subject key identifiers as SPIRE makes them: SHA-1 of the public key's bits (RFC 5280 §4.2.1.2, method 1). A name, not a protection.
import { hash } from 'node:crypto';
import { publicKeyBits } from './public-key.ts';

/** The key identifier of a SubjectPublicKeyInfo. */
export function subjectKeyIdOf(spki: Uint8Array): Uint8Array {
  const digest = hash('sha1', publicKeyBits(spki), 'buffer');
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.length);
}

/** SHA-256 of a whole SubjectPublicKeyInfo, base64url: says whether two keys are the same one. */
export function keyDigestOf(spki: Uint8Array): string {
  return hash('sha256', spki, 'base64url');
}
