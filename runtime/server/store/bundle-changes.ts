// What may happen to the authorities of a bundle, as pure functions: each returns the new bundle or refuses. The sequence number is the caller's business.
import { parseCertificate } from '../../pki/certificate.ts';
import { subjectKeyIdOf } from '../../pki/key-id.ts';
import type { JwtAuthority, TrustBundle, X509Authority } from '../../spiffe/bundle.ts';
import { StoreError } from './errors.ts';

export function x509AuthorityId({ asn1 }: X509Authority): string {
  const certificate = parseCertificate(asn1);
  return Buffer.from(certificate.subjectKeyId ?? subjectKeyIdOf(certificate.spki)).toString('hex');
}

/** Throws LAST_AUTHORITY rather than leave none of a kind that there was. */
export function withoutExpired(bundle: TrustBundle, expiredBefore: number): TrustBundle {
  const x509Authorities = bundle.x509Authorities.filter(
    ({ asn1 }) => parseCertificate(asn1).notAfter / 1000 > expiredBefore,
  );
  const jwtAuthorities = bundle.jwtAuthorities.filter(({ expiresAt }) => expiresAt === 0 || expiresAt > expiredBefore);
  if (x509Authorities.length === 0 && bundle.x509Authorities.length > 0) {
    throw new StoreError('LAST_AUTHORITY', 'pruning would leave no X.509 authority');
  }
  if (jwtAuthorities.length === 0 && bundle.jwtAuthorities.length > 0) {
    throw new StoreError('LAST_AUTHORITY', 'pruning would leave no JWT authority');
  }
  return { ...bundle, x509Authorities, jwtAuthorities };
}

export function withTaintedX509Authority(bundle: TrustBundle, subjectKeyId: string): TrustBundle {
  const found = findX509Authority(bundle, subjectKeyId);
  if (found.tainted === true) throw new StoreError('ALREADY_TAINTED', 'root CA is already tainted');
  const x509Authorities = bundle.x509Authorities.map((held) => (held === found ? { ...held, tainted: true } : held));
  return { ...bundle, x509Authorities };
}

export function withoutX509Authority(bundle: TrustBundle, subjectKeyId: string): TrustBundle {
  const found = findX509Authority(bundle, subjectKeyId);
  if (found.tainted !== true) throw new StoreError('NOT_TAINTED', 'it is not possible to revoke an untainted root CA');
  const x509Authorities = bundle.x509Authorities.filter((held) => held !== found);
  if (x509Authorities.length === 0)
    throw new StoreError('LAST_AUTHORITY', 'the last X.509 authority cannot be revoked');
  return { ...bundle, x509Authorities };
}

export function withTaintedJwtAuthority(bundle: TrustBundle, keyId: string): TrustBundle {
  const found = findJwtAuthority(bundle, keyId);
  if (found.tainted === true) throw new StoreError('ALREADY_TAINTED', 'key is already tainted');
  const jwtAuthorities = bundle.jwtAuthorities.map((held) => (held === found ? { ...held, tainted: true } : held));
  return { ...bundle, jwtAuthorities };
}

export function withoutJwtAuthority(bundle: TrustBundle, keyId: string): TrustBundle {
  const found = findJwtAuthority(bundle, keyId);
  if (found.tainted !== true) throw new StoreError('NOT_TAINTED', 'it is not possible to revoke an untainted key');
  return { ...bundle, jwtAuthorities: bundle.jwtAuthorities.filter((held) => held !== found) };
}

/** One that nothing was signed with may go untainted. Throws NOT_FOUND. */
export function withoutUnusedX509Authority(bundle: TrustBundle, subjectKeyId: string): TrustBundle {
  const found = findX509Authority(bundle, subjectKeyId);
  const x509Authorities = bundle.x509Authorities.filter((held) => held !== found);
  if (x509Authorities.length === 0)
    throw new StoreError('LAST_AUTHORITY', 'the last X.509 authority cannot be withdrawn');
  return { ...bundle, x509Authorities };
}

export function withoutUnusedJwtAuthority(bundle: TrustBundle, keyId: string): TrustBundle {
  const found = findJwtAuthority(bundle, keyId);
  return { ...bundle, jwtAuthorities: bundle.jwtAuthorities.filter((held) => held !== found) };
}

export function findJwtAuthority(bundle: TrustBundle, keyId: string): JwtAuthority {
  const found = bundle.jwtAuthorities.find((held) => held.keyId === keyId);
  if (found === undefined) throw new StoreError('NOT_FOUND', `no JWT signing key with key id ${JSON.stringify(keyId)}`);
  return found;
}

export function findX509Authority(bundle: TrustBundle, subjectKeyId: string): X509Authority {
  const found = bundle.x509Authorities.find((held) => x509AuthorityId(held) === subjectKeyId.toLowerCase());
  if (found === undefined)
    throw new StoreError('NOT_FOUND', `no root CA with subject key id ${JSON.stringify(subjectKeyId)}`);
  return found;
}
