// Proof that somebody holds a certificate's private key: both sides give a nonce, and the holder signs SHA-256 of the two. JSON as SPIRE has it.
import { constants, createHash, randomBytes, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import * as z from 'zod';
import { deniedEvidence, invalidEvidence } from '../attest-error.ts';
import { base64Bytes, encodeBase64, encodeJson, parseJson } from '../payload.ts';

export type KeyKind = 'rsa' | 'ecdsa';

const nonceBytes = 32;
const challengeKey = { rsa: 'rsa_signature', ecdsa: 'ecdsa_signature' } as const;

const challengeSchema = z.object({
  rsa_signature: z.object({ nonce: base64Bytes }).nullish(),
  ecdsa_signature: z.object({ nonce: base64Bytes }).nullish(),
});
const responseSchema = z.object({
  rsa_signature: z.object({ nonce: base64Bytes, signature: base64Bytes }).nullish(),
  ecdsa_signature: z.object({ nonce: base64Bytes, r: base64Bytes, s: base64Bytes }).nullish(),
});

/** `undefined` for a key that x509pop has no challenge for. */
export function keyKindOf(key: KeyObject): KeyKind | undefined {
  if (key.asymmetricKeyType === 'rsa') return 'rsa';
  return key.asymmetricKeyType === 'ec' ? 'ecdsa' : undefined;
}

export function createNonce(): Uint8Array {
  return new Uint8Array(randomBytes(nonceBytes));
}

export function encodeChallenge(kind: KeyKind, nonce: Uint8Array): Uint8Array {
  const other = kind === 'rsa' ? 'ecdsa' : 'rsa';
  return encodeJson({ [challengeKey[kind]]: { nonce: encodeBase64(nonce) }, [challengeKey[other]]: null });
}

/** The agent's side: answers the challenge that fits its key, and no other. */
export function answerChallenge(privateKey: KeyObject, challenge: Uint8Array): Uint8Array {
  const kind = keyKindOf(privateKey);
  if (kind === undefined) throw invalidEvidence('KEY_TYPE', 'private key is neither RSA nor ECDSA');
  const asked = parseJson(challenge, challengeSchema, 'CHALLENGE_MALFORMED', 'challenge')[challengeKey[kind]];
  if (asked === undefined || asked === null)
    throw invalidEvidence('CHALLENGE_MALFORMED', `expecting ${kind.toUpperCase()} challenge`);
  const nonce = createNonce();
  const message = combine(asked.nonce, nonce);
  if (kind === 'rsa') {
    const signature = sign('sha256', message, { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING });
    return encodeJson({
      rsa_signature: { nonce: encodeBase64(nonce), signature: encodeBase64(signature) },
      ecdsa_signature: null,
    });
  }
  const signature = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const half = signature.length / 2;
  const [r, s] = [signature.subarray(0, half), signature.subarray(half)].map(encodeBase64);
  return encodeJson({ rsa_signature: null, ecdsa_signature: { nonce: encodeBase64(nonce), r, s } });
}

/** The server's side: throws unless the holder of the key signed this nonce. */
export function checkAnswer(publicKey: KeyObject, kind: KeyKind, nonce: Uint8Array, answer: Uint8Array): void {
  const response = parseJson(answer, responseSchema, 'CHALLENGE_MALFORMED', 'challenge response');
  const proven =
    kind === 'rsa'
      ? checkRsa(publicKey, nonce, response.rsa_signature)
      : checkEcdsa(publicKey, nonce, response.ecdsa_signature);
  if (!proven)
    throw deniedEvidence(
      'POSSESSION_UNPROVEN',
      `challenge response verification failed: ${kind.toUpperCase()} signature verify failed`,
    );
}

type Response = z.output<typeof responseSchema>;

function checkRsa(key: KeyObject, nonce: Uint8Array, response: Response['rsa_signature']): boolean {
  if (response === undefined || response === null) throw wrongKind('rsa');
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
  return verify('sha256', combine(nonce, response.nonce), { key, ...padding }, response.signature);
}

function checkEcdsa(key: KeyObject, nonce: Uint8Array, response: Response['ecdsa_signature']): boolean {
  if (response === undefined || response === null) throw wrongKind('ecdsa');
  const width = fieldBytes(key);
  const [r, s] = [response.r, response.s].map((part) => padded(part, width));
  if (r === undefined || s === undefined) return false;
  return verify('sha256', combine(nonce, response.nonce), { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat([r, s]));
}

function wrongKind(kind: KeyKind): Error {
  return deniedEvidence(
    'POSSESSION_UNPROVEN',
    `challenge response verification failed: expecting ${kind.toUpperCase()} response`,
  );
}

/** The signed message. SPIRE signs its SHA-256; `sign` and `verify` take that digest themselves. */
function combine(challenge: Uint8Array, response: Uint8Array): Uint8Array {
  if (challenge.length !== nonceBytes) throw deniedEvidence('NONCE_LENGTH', 'invalid challenge nonce');
  if (response.length !== nonceBytes) throw deniedEvidence('NONCE_LENGTH', 'invalid response nonce');
  return Buffer.concat([challenge, response]);
}

/** Big-endian integers come without leading zeros (Go) or with them. */
function padded(integer: Uint8Array, width: number): Uint8Array | undefined {
  const first = integer.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? new Uint8Array() : integer.subarray(first);
  if (digits.length === 0 || digits.length > width) return undefined;
  const result = new Uint8Array(width);
  result.set(digits, width - digits.length);
  return result;
}

function fieldBytes(key: KeyObject): number {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const bits = { prime256v1: 256, secp384r1: 384, secp521r1: 521 }[curve ?? ''];
  if (bits === undefined) throw deniedEvidence('KEY_TYPE', `curve ${curve ?? 'unknown'} is not supported`);
  return Math.ceil(bits / 8);
}

/** SHA-1 of the certificate in hex: x509pop's name for a certificate, not a statement of trust. */
export function fingerprint(der: Uint8Array): string {
  return createHash('sha1').update(der).digest('hex');
}
