// What the CA signs with its active authorities. Names and lifetimes come from the caller, who took them from entries, never from a request.
import { randomUUID } from 'node:crypto';
import { issueX509Svid, notBeforeCushionMs } from '../../pki/issue.ts';
import { signJwtSvid } from '../../pki/jwt-svid.ts';
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';
import type { CertificateAuthority, IssuedX509Svid, X509SvidRequest } from './authority.ts';
import type { Intend } from './intents.ts';
import { cutExpiry, ttlOr } from './lifetime.ts';
import { createDownstreamSigning } from './sign-downstream.ts';
import type { SignedUntilMarks } from './signed-until.ts';
import type { JwtSlot, Slot, X509Slot } from './slot.ts';

export type Signing = Pick<
  CertificateAuthority,
  'signX509Svid' | 'signAgentX509Svid' | 'signDownstreamX509Ca' | 'signJwtSvid'
> & { readonly signX509SvidNow: (request: X509SvidRequest) => IssuedX509Svid };

export interface SigningOptions {
  readonly context: AuthorityContext;
  /** Throws NOT_READY where the bundle does not vouch for it. */
  readonly activeX509: () => X509Slot;
  /** Absent where JWT-SVIDs are disabled. */
  readonly activeJwt?: (() => JwtSlot) | undefined;
  readonly marks: { readonly x509: SignedUntilMarks; readonly jwt?: SignedUntilMarks | undefined };
  readonly intend: Intend;
}

export function createSigning({ context, activeX509, activeJwt, marks, intend }: SigningOptions): Signing {
  const { config, clock } = context;
  const expiryOf = (ttlMs: number) => (slot: Slot) => cutExpiry(clock(), ttlMs, slot);
  const ttlOfSvid = ({ ttlMs }: Pick<X509SvidRequest, 'ttlMs'>): number => ttlOr(ttlMs, config.x509SvidTtl);

  const signX509SvidNow = (request: X509SvidRequest): IssuedX509Svid => {
    const { publicKey, spiffeId, dnsNames, subject } = request;
    const slot = activeX509();
    const leaf = issueX509Svid({
      issuer: { certificate: slot.certificate, signer: slot.key.signer },
      publicKey,
      spiffeId,
      notBefore: clock() - notBeforeCushionMs,
      notAfter: expiryOf(ttlOfSvid(request))(slot),
      ...(dnsNames === undefined ? {} : { dnsNames }),
      ...(subject === undefined ? {} : { subject }),
    });
    marks.x509.note(slot, leaf.notAfter);
    return { chain: [leaf, ...slot.intermediates], expiresAt: leaf.notAfter };
  };

  const signX509Svid = async (request: X509SvidRequest): Promise<IssuedX509Svid> => {
    await covered(marks.x509, activeX509, expiryOf(ttlOfSvid(request)));
    return signX509SvidNow(request);
  };
  return {
    signX509SvidNow,
    signX509Svid,
    signAgentX509Svid: (request) => signX509Svid({ ...request, ttlMs: config.agentTtl ?? config.x509SvidTtl }),
    signDownstreamX509Ca: createDownstreamSigning({
      context,
      intend,
      active: activeX509,
    }),
    async signJwtSvid({ spiffeId, audience, ttlMs, includeJti = false }) {
      if (activeJwt === undefined || marks.jwt === undefined)
        throw new AuthorityError('JWT_DISABLED', 'JWT-SVIDs are disabled');
      const expiry = expiryOf(ttlOr(ttlMs, config.jwtSvidTtl));
      await covered(marks.jwt, activeJwt, expiry);
      const slot = activeJwt();
      const [issuedAt, expiresAt] = [clock(), expiry(slot)];
      const token = signJwtSvid({
        signer: slot.key.signer,
        keyId: slot.authorityId,
        spiffeId,
        audience,
        issuedAt,
        expiresAt,
        ...(config.jwtIssuer === undefined ? {} : { issuer: config.jwtIssuer }),
        ...(includeJti ? { jti: randomUUID() } : {}),
      });
      marks.jwt.note(slot, expiresAt);
      // Tokens keep whole seconds.
      return { token, issuedAt: wholeSeconds(issuedAt), expiresAt: wholeSeconds(expiresAt) };
    },
  };
}

/** Resolves once the store knows how long what the active authority signs may be valid: nearly always at once. */
async function covered<S extends Slot>(
  marks: SignedUntilMarks,
  active: () => S,
  expiryOf: (slot: S) => number,
): Promise<void> {
  for (;;) {
    const slot = active();
    const expiresAt = expiryOf(slot);
    if (marks.isCovered(slot, expiresAt)) return;
    await marks.cover(slot, expiresAt);
  }
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
