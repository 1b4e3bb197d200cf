// A trust domain's bundle: the authorities that its SVIDs are verified against. Immutable: every change makes a new value.
// How a bundle is written down is in bundle-document.ts.
import { SpiffeError } from './errors.ts';
import type { TrustDomain } from './trust-domain.ts';

export { encodeSpiffeBundle, parseJwkSet, parseSpiffeBundle } from './bundle-document.ts';

export interface X509Authority {
  /** One certificate, DER. */
  readonly asn1: Uint8Array;
  readonly tainted?: boolean;
}

export interface JwtAuthority {
  readonly keyId: string;
  /** PKIX, DER. */
  readonly publicKey: Uint8Array;
  /** Unix seconds; 0 is never. */
  readonly expiresAt: number;
  readonly tainted?: boolean;
}

export interface TrustBundle {
  readonly trustDomain: TrustDomain;
  readonly x509Authorities: readonly X509Authority[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  /** 0 where there is no hint. */
  readonly refreshHintSeconds: number;
  readonly sequenceNumber: number;
}

export function emptyBundle(trustDomain: TrustDomain): TrustBundle {
  return { trustDomain, x509Authorities: [], jwtAuthorities: [], refreshHintSeconds: 0, sequenceNumber: 0 };
}

/**
 * The base with the authorities that only the other has, at the end. What the base already holds stays as it is there, its
 * tainted mark included: an appended copy must not clear it. Hint and sequence number stay the base's.
 */
export function mergeBundles(base: TrustBundle, added: TrustBundle): { bundle: TrustBundle; changed: boolean } {
  if (!base.trustDomain.equals(added.trustDomain)) {
    throw new SpiffeError(
      'TRUST_DOMAIN_MISMATCH',
      `cannot merge a bundle of ${added.trustDomain.name} into the bundle of ${base.trustDomain.name}`,
    );
  }
  const x509Authorities = withMissing(base.x509Authorities, added.x509Authorities, isSameX509Authority);
  const jwtAuthorities = withMissing(base.jwtAuthorities, added.jwtAuthorities, isSameJwtAuthority);
  const changed =
    x509Authorities.length > base.x509Authorities.length || jwtAuthorities.length > base.jwtAuthorities.length;
  return changed ? { bundle: { ...base, x509Authorities, jwtAuthorities }, changed } : { bundle: base, changed };
}

/** Equal in everything but the order of authorities, which means nothing. */
export function bundlesEqual(a: TrustBundle, b: TrustBundle): boolean {
  return (
    a.trustDomain.equals(b.trustDomain) &&
    a.refreshHintSeconds === b.refreshHintSeconds &&
    a.sequenceNumber === b.sequenceNumber &&
    isSameSet(
      a.x509Authorities,
      b.x509Authorities,
      (x, y) => isSameX509Authority(x, y) && isTainted(x) === isTainted(y),
    ) &&
    isSameSet(
      a.jwtAuthorities,
      b.jwtAuthorities,
      (x, y) =>
        isSameJwtAuthority(x, y) &&
        isTainted(x) === isTainted(y) &&
        x.expiresAt === y.expiresAt &&
        isSameBytes(x.publicKey, y.publicKey),
    )
  );
}

function isSameX509Authority(a: X509Authority, b: X509Authority): boolean {
  return isSameBytes(a.asn1, b.asn1);
}

function isSameJwtAuthority(a: JwtAuthority, b: JwtAuthority): boolean {
  return a.keyId === b.keyId;
}

function isTainted(authority: { readonly tainted?: boolean }): boolean {
  return authority.tainted === true;
}

function withMissing<T>(base: readonly T[], added: readonly T[], isSame: (a: T, b: T) => boolean): T[] {
  const result = [...base];
  for (const item of added) {
    if (!result.some((held) => isSame(held, item))) result.push(item);
  }
  return result;
}

function isSameSet<T>(a: readonly T[], b: readonly T[], isSame: (a: T, b: T) => boolean): boolean {
  return (
    a.length === b.length && a.every((x) => b.some((y) => isSame(x, y))) && b.every((y) => a.some((x) => isSame(x, y)))
  );
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
