// What the CA signs with its active authorities. Names and lifetimes come from the caller, who took them from entries, never from a request.
import { randomUUID } from 'node:crypto';
import { issueDownstreamCa, issueX509Svid, notBeforeCushionMs } from '../../pki/issue.ts';
import { signJwtSvid } from '../../pki/jwt-svid.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';
import type { CertificateAuthority, IssuedX509Svid, X509SvidRequest } from './authority.ts';
import { checkDownstreamLifetime, cutExpiry, ttlOr } from './lifetime.ts';
import type { JwtSlot, X509Slot } from './slot.ts';

export type Signing = Pick<
  CertificateAuthority,
  'signX509Svid' | 'signAgentX509Svid' | 'signDownstreamX509Ca' | 'signJwtSvid'
> & { readonly signX509SvidNow: (request: X509SvidRequest) => IssuedX509Svid };

export interface SigningOptions {
  readonly context: AuthorityContext;
  readonly activeX509: () => X509Slot;
  /** Absent where JWT-SVIDs are disabled. */
  readonly activeJwt?: (() => JwtSlot) | undefined;
}

export function createSigning({ context, activeX509, activeJwt }: SigningOptions): Signing {
  const { config, trustDomain, clock, log } = context;

  const signX509SvidNow = ({ publicKey, spiffeId, dnsNames, subject, ttlMs }: X509SvidRequest): IssuedX509Svid => {
    const slot = activeX509();
    const now = clock();
    const leaf = issueX509Svid({
      issuer: issuerOf(slot),
      publicKey,
      spiffeId,
      notBefore: now - notBeforeCushionMs,
      notAfter: cutExpiry(now, ttlOr(ttlMs, config.x509SvidTtl), slot),
      ...(dnsNames === undefined ? {} : { dnsNames }),
      ...(subject === undefined ? {} : { subject }),
    });
    return { chain: [leaf, ...slot.intermediates], expiresAt: leaf.notAfter };
  };

  return {
    signX509SvidNow,
    signX509Svid: async (request) => signX509SvidNow(request),
    signAgentX509Svid: async (request) => signX509SvidNow({ ...request, ttlMs: config.agentTtl ?? config.x509SvidTtl }),
    async signDownstreamX509Ca({ publicKey, ttlMs: asked }) {
      const slot = activeX509();
      const now = clock();
      const ttlMs = ttlOr(asked, config.caTtl);
      checkDownstreamLifetime(ttlMs, slot, config, log);
      const ca = issueDownstreamCa({
        issuer: issuerOf(slot),
        issuerChainLength: Math.max(slot.intermediates.length, 1),
        publicKey,
        spiffeId: createSpiffeId(trustDomain, ''),
        notBefore: now - notBeforeCushionMs,
        notAfter: cutExpiry(now, ttlMs, slot),
      });
      return { chain: [ca, ...slot.intermediates], expiresAt: ca.notAfter };
    },
    async signJwtSvid({ spiffeId, audience, ttlMs, includeJti = false }) {
      if (activeJwt === undefined) throw new AuthorityError('JWT_DISABLED', 'JWT-SVIDs are disabled');
      const slot = activeJwt();
      const issuedAt = clock();
      const expiresAt = cutExpiry(issuedAt, ttlOr(ttlMs, config.jwtSvidTtl), slot);
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
      // Tokens keep whole seconds.
      return { token, issuedAt: wholeSeconds(issuedAt), expiresAt: wholeSeconds(expiresAt) };
    },
  };
}

function issuerOf({ certificate, key }: X509Slot) {
  return { certificate, signer: key.signer };
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
