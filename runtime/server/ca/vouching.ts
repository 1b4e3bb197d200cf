// What our bundle, as this server knows it, says of our own authorities: whether it has them, and whether they are tainted. Asked at every signature.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import type { JwtSlot, X509Slot } from './slot.ts';

export interface Vouching<S> {
  readonly isPublished: (slot: S) => boolean;
  readonly isTainted: (slot: S) => boolean;
}

export interface BundleVouching {
  readonly x509: Vouching<X509Slot>;
  readonly jwt: Vouching<JwtSlot>;
}

/** Bundles are values: they are read once each, not once for each signature. */
export function createVouching(current: () => TrustBundle): BundleVouching {
  let read: TrustBundle | undefined;
  /** Authority id → whether it is tainted. */
  let x509 = new Map<string, boolean>();
  let jwt = new Map<string, boolean>();
  const look = (): void => {
    const bundle = current();
    if (bundle === read) return;
    x509 = new Map(bundle.x509Authorities.map((held) => [x509AuthorityId(held), held.tainted === true]));
    jwt = new Map(bundle.jwtAuthorities.map(({ keyId, tainted }) => [keyId, tainted === true]));
    read = bundle;
  };
  const of = <S>(marks: () => Map<string, boolean>, idOf: (slot: S) => string): Vouching<S> => ({
    isPublished(slot) {
      look();
      return marks().has(idOf(slot));
    },
    isTainted(slot) {
      look();
      return marks().get(idOf(slot)) === true;
    },
  });
  return {
    x509: of(() => x509, rootIdOf),
    jwt: of(
      () => jwt,
      ({ authorityId }) => authorityId,
    ),
  };
}

/** The authority in the bundle that stands above ours, or is ours. */
export function rootIdOf({ authorityId, upstreamAuthorityId }: X509Slot): string {
  return upstreamAuthorityId ?? authorityId;
}
