// JWT-SVIDs: signed as SPIRE signs them, verified as the JWT-SVID standard demands. Tokens are secrets: no message here repeats one.
import type { TrustBundle } from '../spiffe/bundle.ts';
import { SpiffeError } from '../spiffe/errors.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { refuse } from './errors.ts';
import { parseCompactJws, parseJwsAlgorithm, signCompactJws, verifyCompactJws } from './jws.ts';
import { parsePublicKey } from './public-key.ts';
import type { Signer } from './signer.ts';

/** What go-jose, and so SPIRE, allows for clocks that differ. */
export const jwtLeewayMs = 60_000;

export interface SignJwtSvidInput {
  readonly signer: Signer;
  readonly keyId: string;
  readonly spiffeId: SpiffeId;
  /** Empty strings are dropped; at least one must remain. */
  readonly audience: readonly string[];
  /** Epoch milliseconds; tokens keep whole seconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly issuer?: string;
  readonly jti?: string;
}

export interface VerifyJwtSvidInput {
  readonly token: string;
  /** Of the token's own trust domain. */
  readonly bundle: TrustBundle;
  /** The token must be for one of these. */
  readonly audience: readonly string[];
  /** Epoch milliseconds. */
  readonly now: number;
  readonly leewayMs?: number;
}

export interface VerifiedJwtSvid {
  readonly id: SpiffeId;
  readonly claims: Record<string, unknown>;
  readonly audience: string[];
  /** Epoch milliseconds. */
  readonly issuedAt: number | undefined;
  readonly expiresAt: number;
}

/** JWT-SVID §2: headers that the standard does not describe must not be there. */
const knownHeaders: readonly string[] = ['alg', 'kid', 'typ'];
const knownTypes: readonly unknown[] = [undefined, 'JWT', 'JOSE'];

export function signJwtSvid(input: SignJwtSvidInput): string {
  const { signer, keyId, spiffeId, issuer, jti } = input;
  const audience = input.audience.filter((value) => value !== '');
  if (audience.length === 0) throw refuse('TOKEN_AUDIENCE', 'token would have no audience');
  if (keyId === '') throw refuse('TOKEN_KEY_ID', 'token would have no key ID');
  const exp = Math.floor(input.expiresAt / 1000);
  const iat = Math.floor(input.issuedAt / 1000);
  if (exp <= iat) throw refuse('TOKEN_EXPIRY', 'token would end before it begins');
  const claims = {
    ...(issuer === undefined ? {} : { iss: issuer }),
    ...(jti === undefined ? {} : { jti }),
    sub: spiffeId.toString(),
    aud: audience,
    exp,
    iat,
  };
  return signCompactJws(signer, { kid: keyId, typ: 'JWT' }, claims);
}

export function verifyJwtSvid({
  token,
  bundle,
  audience,
  now,
  leewayMs = jwtLeewayMs,
}: VerifyJwtSvidInput): VerifiedJwtSvid {
  const jws = parseCompactJws(token);
  const algorithm = parseJwsAlgorithm(jws.header['alg']);
  const keyId = checkHeader(jws.header);
  const claims = jws.payload;
  const id = subjectOf(claims);
  if (!id.trustDomain.equals(bundle.trustDomain)) {
    throw refuse('TRUST_DOMAIN', `${id.toString()} is not of trust domain ${bundle.trustDomain.name}`);
  }
  const authority = bundle.jwtAuthorities.find((candidate) => candidate.keyId === keyId);
  if (authority === undefined) {
    throw refuse(
      'TOKEN_UNKNOWN_KEY',
      `trust domain ${bundle.trustDomain.name} has no JWT authority ${JSON.stringify(keyId)}`,
    );
  }
  if (!verifyCompactJws(jws, algorithm, parsePublicKey(authority.publicKey))) {
    throw refuse('TOKEN_SIGNATURE', `token is not signed by JWT authority ${JSON.stringify(keyId)}`);
  }
  const times = checkTimes(claims, now, leewayMs);
  return { id, claims, audience: checkAudience(claims, audience), ...times };
}

/** Whom a token claims to be, to find the bundle to verify it with; nothing is verified. */
export function unverifiedJwtSubject(token: string): SpiffeId {
  return subjectOf(parseCompactJws(token).payload);
}

function checkHeader(header: Record<string, unknown>): string {
  const strange = Object.keys(header).find((name) => !knownHeaders.includes(name));
  if (strange !== undefined) throw refuse('TOKEN_HEADER', `token has the header ${JSON.stringify(strange)}`);
  if (!knownTypes.includes(header['typ'])) throw refuse('TOKEN_TYPE', 'token is of another type than JWT or JOSE');
  const keyId = header['kid'];
  if (typeof keyId !== 'string' || keyId === '') throw refuse('TOKEN_KEY_ID', 'token has no key ID');
  return keyId;
}

/** JWT-SVID §3.1. */
function subjectOf(claims: Record<string, unknown>): SpiffeId {
  const subject = claims['sub'];
  if (typeof subject !== 'string') throw refuse('TOKEN_SUBJECT', 'token has no subject');
  try {
    return parseSpiffeId(subject);
  } catch (cause) {
    if (!(cause instanceof SpiffeError)) throw cause;
    throw refuse('TOKEN_SUBJECT', `token's subject is no SPIFFE ID: ${cause.message}`, cause);
  }
}

/** JWT-SVID §3.3: the expiry must be there; the other times only bind where they are. */
function checkTimes(
  claims: Record<string, unknown>,
  now: number,
  leeway: number,
): Pick<VerifiedJwtSvid, 'issuedAt' | 'expiresAt'> {
  const expiresAt = timeClaim(claims, 'exp');
  const notBefore = timeClaim(claims, 'nbf');
  const issuedAt = timeClaim(claims, 'iat');
  if (expiresAt === undefined) throw refuse('TOKEN_EXPIRY', 'token missing exp claim');
  if (now - leeway > expiresAt) throw refuse('TOKEN_EXPIRED', 'token has expired');
  if (notBefore !== undefined && now + leeway < notBefore)
    throw refuse('TOKEN_NOT_YET_VALID', 'token is not valid yet');
  if (issuedAt !== undefined && now + leeway < issuedAt)
    throw refuse('TOKEN_NOT_YET_VALID', 'token is issued in the future');
  return { expiresAt, issuedAt };
}

function timeClaim(claims: Record<string, unknown>, name: string): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw refuse('TOKEN_CLAIMS', `token's ${name} claim is not a number`);
  return value * 1000;
}

/** JWT-SVID §3.2: one string or a list of them. */
function checkAudience(claims: Record<string, unknown>, wanted: readonly string[]): string[] {
  const claim = claims['aud'];
  const audience: unknown = typeof claim === 'string' ? [claim] : claim;
  if (!Array.isArray(audience) || audience.length === 0 || !audience.every((value) => typeof value === 'string')) {
    throw refuse('TOKEN_AUDIENCE', 'token has no audience');
  }
  if (!audience.some((value) => wanted.includes(value))) {
    throw refuse('TOKEN_AUDIENCE', `token is for ${JSON.stringify(audience)}, want ${JSON.stringify(wanted)}`);
  }
  return audience;
}
