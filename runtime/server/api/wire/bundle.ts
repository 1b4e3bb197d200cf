// Trust bundles between the API and our values. Authorities that cannot be parsed are refused here, before anything is stored.
import type { BundleMask, JWTKey, X509Certificate } from '../../../../proto/gen/spire/api/types/bundle.ts';
import type { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { parseCertificateChain } from '../../../pki/certificate.ts';
import { parsePublicKey } from '../../../pki/public-key.ts';
import type { JwtAuthority, TrustBundle, X509Authority } from '../../../spiffe/bundle.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';

export function encodeBundle(bundle: TrustBundle, mask: BundleMask | undefined): Bundle {
  const has = (field: keyof BundleMask) => mask === undefined || mask[field];
  return {
    trustDomain: bundle.trustDomain.name,
    x509Authorities: has('x509Authorities') ? bundle.x509Authorities.map(encodeX509Authority) : [],
    jwtAuthorities: has('jwtAuthorities') ? bundle.jwtAuthorities.map(encodeJwtAuthority) : [],
    refreshHint: has('refreshHint') ? bundle.refreshHintSeconds : 0,
    sequenceNumber: has('sequenceNumber') ? bundle.sequenceNumber : 0,
    witAuthorities: [],
  };
}

function encodeX509Authority({ asn1, tainted }: X509Authority): X509Certificate {
  return { asn1, tainted: tainted ?? false };
}

export function encodeJwtAuthority({ publicKey, keyId, expiresAt, tainted }: JwtAuthority): JWTKey {
  return { publicKey, keyId, expiresAt, tainted: tainted ?? false };
}

/** One authority for each certificate: a message may carry several in one value. */
export function parseX509Authorities(wire: readonly X509Certificate[]): X509Authority[] {
  return wire.flatMap(({ asn1 }) => parseCertificateChain(asn1).map((certificate) => ({ asn1: certificate.der })));
}

export function parseJwtAuthorities(wire: readonly JWTKey[]): JwtAuthority[] {
  return wire.map(({ publicKey, keyId, expiresAt }) => {
    // Everybody who trusts the bundle would trust a weak key too.
    parsePublicKey(publicKey);
    if (keyId === '') throw new Error('missing key ID');
    return { publicKey, keyId, expiresAt };
  });
}

export function parseBundle(wire: Bundle): TrustBundle {
  return {
    trustDomain: within('invalid trust domain', () => parseTrustDomain(wire.trustDomain)),
    x509Authorities: within('unable to parse X.509 authority', () => parseX509Authorities(wire.x509Authorities)),
    jwtAuthorities: within('unable to parse JWT authority', () => parseJwtAuthorities(wire.jwtAuthorities)),
    refreshHintSeconds: wire.refreshHint,
    sequenceNumber: wire.sequenceNumber,
  };
}

function within<T>(problem: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Error(`${problem}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
