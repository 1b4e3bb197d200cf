// Validates a JWT-SVID for a workload: against the bundle of the token's own trust domain, if the workload may know that one.
import { PkiError } from '../../pki/errors.ts';
import { unverifiedJwtSubject, verifyJwtSvid } from '../../pki/jwt-svid.ts';
import { invalidArgument } from '../../rpc/status.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { SpiffeError } from '../../spiffe/errors.ts';
import { jwtRefusalText } from './jwt-refusal.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

export interface ValidateJwtOptions {
  readonly token: string;
  readonly audience: string;
  /** The bundles that the workload is entitled to. */
  readonly bundles: readonly TrustBundle[];
  readonly trustDomain: TrustDomain;
  /** Claims of other trust domains that workloads may see. */
  readonly allowedForeignClaims: ReadonlySet<string>;
  readonly now: number;
}

export interface ValidatedJwt {
  readonly id: SpiffeId;
  readonly claims: Readonly<Record<string, unknown>>;
}

const alwaysAllowed: ReadonlySet<string> = new Set(['sub', 'exp', 'aud']);

/** Throws INVALID_ARGUMENT where the token does not hold. Of the token, a message has the key's ID, algorithm and audience at most. */
export function validateJwt(options: ValidateJwtOptions): ValidatedJwt {
  const { token, audience, bundles, trustDomain, allowedForeignClaims, now } = options;
  try {
    const subject = unverifiedJwtSubject(token); // only to choose the bundle: nothing is believed before the signature is verified
    const bundle = bundles.find((candidate) => candidate.trustDomain.equals(subject.trustDomain));
    if (bundle === undefined) throw invalidArgument(`no keys found for trust domain "${subject.trustDomain.name}"`);
    const { id, claims } = verifyJwtSvid({ token, bundle, audience: [audience], now });
    // RFC 7519 §4.1.3 allows a single audience without a list; workloads always get the list.
    const listed = typeof claims['aud'] === 'string' ? { ...claims, aud: [claims['aud']] } : claims;
    if (id.trustDomain.equals(trustDomain)) return { id, claims: listed };
    const visible = Object.entries(listed).filter(
      ([name]) => alwaysAllowed.has(name) || allowedForeignClaims.has(name),
    );
    return { id, claims: Object.fromEntries(visible) };
  } catch (error) {
    if (error instanceof PkiError || error instanceof SpiffeError)
      throw invalidArgument(jwtRefusalText(error, { token, audience }), { cause: error });
    throw error;
  }
}
