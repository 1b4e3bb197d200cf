// The upstream's bundle as it comes over the wire, checked before it becomes ours.
import type { Bundle, JWTKey } from '../../../proto/gen/spire/api/types/bundle.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { encodePublicKey, parsePublicKey } from '../../pki/public-key.ts';
import type { JwtAuthority } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { AuthorityError } from '../ca/authority.ts';
import type { UpstreamBundle } from './upstream-authority.ts';

export function bundleOfWire(bundle: Bundle, trustDomain: TrustDomain): UpstreamBundle {
  // Trust domains are never merged.
  if (bundle.trustDomain !== trustDomain.name) {
    const other = JSON.stringify(bundle.trustDomain);
    throw new AuthorityError('INVALID', `upstream sent the bundle of ${other}, want ${trustDomain.name}`);
  }
  const x509Authorities = bundle.x509Authorities.map(({ asn1, tainted }) => ({
    asn1: parseCertificate(asn1).der,
    ...(tainted ? { tainted } : {}),
  }));
  if (x509Authorities.length === 0)
    throw new AuthorityError('INVALID', 'upstream sent a bundle without X.509 authorities');
  return {
    x509Authorities,
    jwtAuthorities: jwtAuthoritiesOfWire(bundle.jwtAuthorities),
    sequenceNumber: bundle.sequenceNumber,
  };
}

export function jwtAuthoritiesOfWire(keys: readonly JWTKey[]): JwtAuthority[] {
  return keys.map(({ keyId, publicKey, expiresAt, tainted }) => {
    if (keyId === '') throw new AuthorityError('INVALID', 'upstream sent a JWT key without an id');
    return {
      keyId,
      publicKey: encodePublicKey(parsePublicKey(publicKey)),
      expiresAt,
      ...(tainted ? { tainted } : {}),
    };
  });
}

export function jwtAuthorityToWire({ keyId, publicKey, expiresAt }: JwtAuthority): JWTKey {
  return { keyId, publicKey, expiresAt, tainted: false };
}
