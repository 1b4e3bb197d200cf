// Signs the CA of a downstream server. An authority is rare and lasts long: its intent is in the store before, with whoever asked for it, and what came of it
// is checked after.
import { parseCertificate } from '../../pki/certificate.ts';
import { issueDownstreamCa, notBeforeCushionMs } from '../../pki/issue.ts';
import { subjectKeyIdOf } from '../../pki/key-id.ts';
import { encodePublicKey } from '../../pki/public-key.ts';
import { createSerialNumber, serialNumberText } from '../../pki/serial-number.ts';
import { verifyChain } from '../../pki/verify-chain.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';
import type { CertificateAuthority } from './authority.ts';
import type { Intend } from './intents.ts';
import { checkDownstreamLifetime, cutExpiry, ttlOr } from './lifetime.ts';
import { hexOf } from './slot.ts';
import type { X509Slot } from './slot.ts';

export interface DownstreamSigningOptions {
  readonly context: AuthorityContext;
  readonly intend: Intend;
  readonly active: () => X509Slot;
}

export function createDownstreamSigning({
  context,
  intend,
  active,
}: DownstreamSigningOptions): CertificateAuthority['signDownstreamX509Ca'] {
  const { config, trustDomain, clock, log, live } = context;
  return async ({ publicKey, requester, ttlMs: asked }) => {
    const ttlMs = ttlOr(asked, config.caTtl);
    const slot = active();
    const notAfter = cutExpiry(clock(), ttlMs, slot);
    checkDownstreamLifetime(ttlMs, slot, config, log);
    const serialNumber = createSerialNumber();
    const isDone = await intend({
      kind: 'downstream-ca',
      authorityId: hexOf(subjectKeyIdOf(encodePublicKey(publicKey))),
      issuerId: slot.authorityId,
      requestedBy: requester.toString(),
      serialNumber: serialNumberText(serialNumber),
      expiresAt: Math.floor(notAfter / 1000),
    });
    if (slot !== active()) throw new AuthorityError('NOT_READY', 'X.509 CA was replaced meanwhile, ask again');
    const ca = issueDownstreamCa({
      issuer: { certificate: slot.certificate, signer: slot.key.signer },
      issuerChainLength: Math.max(slot.intermediates.length, 1),
      publicKey,
      spiffeId: createSpiffeId(trustDomain, ''),
      serialNumber,
      notBefore: clock() - notBeforeCushionMs,
      notAfter,
    });
    const roots = live.current().x509Authorities.map(({ asn1 }) => parseCertificate(asn1));
    verifyChain({ leaf: parseCertificate(ca.der), intermediates: slot.intermediates, roots, now: clock() });
    await isDone();
    return { chain: [ca, ...slot.intermediates], expiresAt: ca.notAfter };
  };
}
