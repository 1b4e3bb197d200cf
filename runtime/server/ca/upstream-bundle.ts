// Keeps the upstream's authorities in our bundle: what it adds, what it marks as tainted, and what it takes away.
import type { TrustBundle, X509Authority } from '../../spiffe/bundle.ts';
import { emptyBundle } from '../../spiffe/bundle.ts';
import type { UpstreamBundle } from '../upstream/upstream-authority.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import type { AuthorityContext } from './authority-context.ts';

export interface UpstreamBundleOptions {
  readonly context: AuthorityContext;
  /** Called before an authority is marked as tainted here, so that we no longer sign under it. Hex subject key ids. */
  readonly onTainted: (authorityIds: ReadonlySet<string>) => Promise<void>;
}

/** An answer may have been on its way while a server beside us added a root: only what is missing twice in a row was removed. */
const removalsNeeded = 2;

export function createUpstreamBundleSync({
  context,
  onTainted,
}: UpstreamBundleOptions): (above: UpstreamBundle) => Promise<void> {
  const { store, trustDomain, log } = context;
  let missing = new Map<string, number>();

  return async (above) => {
    const tainted = above.x509Authorities.filter((authority) => authority.tainted === true).map(x509AuthorityId);
    if (tainted.length > 0) await onTainted(new Set(tainted));
    await store.appendBundle({ ...emptyBundle(trustDomain), ...above });
    const present = new Set(above.x509Authorities.map(keyOf));
    const seen = new Map<string, number>();
    await store.changeBundle(trustDomain.name, (ours) => {
      seen.clear();
      const kept = ours.x509Authorities.filter((held) => {
        if (present.has(keyOf(held))) return true;
        const times = (missing.get(keyOf(held)) ?? 0) + 1;
        seen.set(keyOf(held), times);
        return times < removalsNeeded;
      });
      // An upstream that answers with nothing does not leave us with nothing.
      return withMarks({ ...ours, x509Authorities: kept.length === 0 ? ours.x509Authorities : kept }, above);
    });
    for (const [key, times] of seen)
      if (times === removalsNeeded) log.info({ authority: key.slice(0, 16) }, 'root removed by the upstream');
    missing = seen;
  };
}

/** Taints of the upstream hold here; one that it took back does not stay. */
function withMarks(ours: TrustBundle, above: UpstreamBundle): TrustBundle {
  const x509 = new Map(above.x509Authorities.map((authority) => [keyOf(authority), authority.tainted === true]));
  const jwt = new Map(above.jwtAuthorities.map(({ keyId, tainted }) => [keyId, tainted === true]));
  return {
    ...ours,
    x509Authorities: ours.x509Authorities.map((held) => marked(held, x509.get(keyOf(held)))),
    jwtAuthorities: ours.jwtAuthorities.map((held) => marked(held, jwt.get(held.keyId))),
  };
}

function marked<T extends { readonly tainted?: boolean }>(held: T, tainted: boolean | undefined): T {
  return tainted === undefined || tainted === (held.tainted === true) ? held : { ...held, tainted };
}

function keyOf({ asn1 }: X509Authority): string {
  return Buffer.from(asn1).toString('base64');
}
