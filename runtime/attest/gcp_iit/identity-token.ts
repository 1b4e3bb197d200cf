// Verifies a GCE instance identity token: RS256 by one of Google's keys, for us, now, and with the claims about the instance. SPIRE does not look at
// the issuer; we do, as the same keys sign tokens of other issuers.
import * as jose from 'jose';
import type { KeyObject } from 'node:crypto';
import * as z from 'zod';
import { deniedEvidence, invalidEvidence } from '../attest-error.ts';
import type { AttestError } from '../attest-error.ts';
import { checkJsonDepth } from '../../spiffe/json-depth.ts';

export const tokenAudience = 'spire-gcp-node-attestor';
const tokenIssuer = 'https://accounts.google.com';
const leewaySeconds = 60;

const claimsSchema = z.object({
  email: z.string().min(1),
  exp: z.number(),
  iat: z.number().optional(),
  google: z.object({
    compute_engine: z.object({
      project_id: z.string().min(1),
      project_number: z.int(),
      zone: z.string().min(1),
      instance_id: z.string().regex(/^\d+$/),
      instance_name: z.string().min(1),
      instance_creation_timestamp: z.int(),
    }),
  }),
});

export type InstanceIdentity = z.output<typeof claimsSchema>['google']['compute_engine'] & { readonly email: string };

/** Gives a key by its ID, or throws. */
export type FindKey = (keyId: string) => Promise<KeyObject>;

export async function verifyIdentityToken(token: string, findKey: FindKey, now: number): Promise<InstanceIdentity> {
  const key = await findKey(readKeyId(token));
  const payload = await verify(token, key, now);
  const claims = claimsSchema.safeParse(payload);
  if (!claims.success) {
    const [issue] = claims.error.issues;
    throw deniedEvidence(
      'TOKEN_CLAIMS',
      `identity token's claim ${issue?.path.join('.') ?? ''} is missing or malformed`,
    );
  }
  const { email, google, iat } = claims.data;
  if (iat !== undefined && iat * 1000 > now + leewaySeconds * 1000) {
    throw deniedEvidence(
      'TOKEN_NOT_YET_VALID',
      'failed to validate the identity token claims: token was issued in the future',
    );
  }
  return { ...google.compute_engine, email };
}

/** The header is checked before any key is asked for: `none` and the HMACs end here. */
function readKeyId(token: string): string {
  const header = decodeHeader(token);
  if (header.alg !== 'RS256') {
    throw invalidEvidence(
      'TOKEN_ALGORITHM',
      `unable to parse the identity token: algorithm ${JSON.stringify(header.alg)} is not RS256`,
    );
  }
  if (typeof header.kid !== 'string' || header.kid === '') {
    throw invalidEvidence('TOKEN_KEY_UNKNOWN', 'failed to validate the identity token signature: token names no key');
  }
  return header.kid;
}

function decodeHeader(token: string): jose.ProtectedHeaderParameters {
  try {
    const [header = '', ...others] = token.split('.');
    if (others.length !== 2) throw new Error('want three parts');
    checkJsonDepth(Buffer.from(header, 'base64url').toString('utf8'));
    return jose.decodeProtectedHeader(token);
  } catch (cause) {
    throw invalidEvidence('TOKEN_MALFORMED', 'unable to parse the identity token', cause);
  }
}

async function verify(token: string, key: KeyObject, now: number): Promise<jose.JWTPayload> {
  try {
    const { payload } = await jose.jwtVerify(token, key, {
      algorithms: ['RS256'],
      issuer: tokenIssuer,
      audience: tokenAudience,
      clockTolerance: leewaySeconds,
      currentDate: new Date(now),
      requiredClaims: ['exp'],
    });
    return payload;
  } catch (cause) {
    throw refusalOf(cause);
  }
}

const claimRefusals = {
  iss: 'TOKEN_ISSUER',
  aud: 'TOKEN_AUDIENCE',
  nbf: 'TOKEN_NOT_YET_VALID',
  exp: 'TOKEN_EXPIRED',
} as const;

/** By jose's classes and codes, not by its messages. */
function refusalOf(cause: unknown): AttestError {
  if (cause instanceof jose.errors.JWTExpired) {
    return deniedEvidence('TOKEN_EXPIRED', 'failed to validate the identity token claims: token is expired', cause);
  }
  if (cause instanceof jose.errors.JWTClaimValidationFailed) {
    const refusal = Object.entries(claimRefusals).find(([claim]) => claim === cause.claim)?.[1] ?? 'TOKEN_CLAIMS';
    return deniedEvidence(
      refusal,
      `failed to validate the identity token claims: claim ${cause.claim} does not hold`,
      cause,
    );
  }
  if (cause instanceof jose.errors.JWSSignatureVerificationFailed) {
    return invalidEvidence('TOKEN_SIGNATURE', 'failed to validate the identity token signature', cause);
  }
  return invalidEvidence('TOKEN_MALFORMED', 'unable to parse the identity token', cause);
}
