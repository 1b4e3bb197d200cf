// A trust domain's bundle as the server sends it, checked when it comes off the wire.
import type { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';

/** Throws where the server sent something that is no bundle. */
export function parseBundle(bundle: Bundle): TrustBundle {
  return {
    trustDomain: parseTrustDomain(bundle.trustDomain),
    x509Authorities: bundle.x509Authorities.map(({ asn1, tainted }) => ({ asn1: parseCertificate(asn1).der, tainted })),
    jwtAuthorities: bundle.jwtAuthorities.map(({ keyId, publicKey, expiresAt, tainted }) => {
      if (keyId === '') throw new Error('JWT authority has no key id');
      return { keyId, publicKey, expiresAt, tainted };
    }),
    refreshHintSeconds: bundle.refreshHint,
    sequenceNumber: bundle.sequenceNumber,
  };
}
