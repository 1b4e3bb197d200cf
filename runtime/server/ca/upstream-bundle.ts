// Keeps the upstream's authorities in our bundle: what it adds, what it marks as tainted, and what it takes away. A mark is never taken back, and what was
// revoked here does not return, whatever the upstream still holds.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { UpstreamBundle } from '../upstream/upstream-authority.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import { StoreError } from '../store/errors.ts';
import { publish } from './authority-context.ts';
import type { AuthorityContext } from './authority-context.ts';

export interface UpstreamBundleOptions {
  readonly context: AuthorityContext;
  /** Called before authorities are marked as tainted here, so that we no longer sign under them. Hex subject key ids. */
  readonly beforeTaint: (authorityIds: ReadonlySet<string>) => Promise<void>;
  /** Called with what the upstream has: what we sign under must hang on one of them. */
  readonly replaceOthers: (authorityIds: ReadonlySet<string>) => Promise<void>;
}

export function createUpstreamBundleSync({
  context,
  beforeTaint,
  replaceOthers,
}: UpstreamBundleOptions): (above: UpstreamBundle) => Promise<void> {
  const { store, trustDomain, log, live, upstream } = context;

  const vanished = createVanished();

  const taint = async (above: UpstreamBundle): Promise<void> => {
    const tainted = taintedIdsOf(above);
    const gone = vanished(above);
    for (const id of gone.x509) tainted.x509.add(id);
    // An upstream that keeps no JWT keys says nothing of ours.
    if (upstream?.publishJwtAuthority !== undefined) for (const id of gone.jwt) tainted.jwt.add(id);
    const ours = taintedIdsOf(live.current());
    for (const id of tainted.x509) if (!ours.x509.has(id)) log.info({ subject_key_id: id }, 'X.509 authority tainted');
    if (tainted.x509.size > 0) await beforeTaint(tainted.x509);
    await store.changeBundle(trustDomain.name, (bundle) => ({
      ...bundle,
      x509Authorities: bundle.x509Authorities.map((held) =>
        tainted.x509.has(x509AuthorityId(held)) ? { ...held, tainted: true } : held,
      ),
      jwtAuthorities: bundle.jwtAuthorities.map((held) =>
        tainted.jwt.has(held.keyId) ? { ...held, tainted: true } : held,
      ),
    }));
  };

  /** As in SPIRE, only what is tainted is taken away: an upstream that is behind has not heard of the newest authorities yet. */
  const revoke = async (above: UpstreamBundle): Promise<void> => {
    const ours = taintedIdsOf(live.current());
    const present = idsOf(above);
    for (const id of ours.x509) {
      if (present.x509.has(id)) continue;
      const done = await unlessGone(() => store.revokeX509Authority(trustDomain.name, id));
      if (done) log.info({ subject_key_id: id }, 'X.509 authority revoked');
    }
    if (upstream?.publishJwtAuthority === undefined) return;
    for (const id of ours.jwt) {
      if (present.jwt.has(id)) continue;
      const done = await unlessGone(() => store.revokeJwtAuthority(trustDomain.name, id));
      if (done) log.info({ local_authority_id: id }, 'JWT authority revoked');
    }
  };

  return async (above) => {
    await live.refresh();
    await publish(context, above);
    await taint(above);
    await live.refresh();
    if (above.sequenceNumber !== undefined) await replaceOthers(new Set(above.x509Authorities.map(x509AuthorityId)));
    await revoke(above);
    await live.refresh();
  };
}

/**
 * What a newer bundle of the upstream no longer has was revoked there, though we never saw it tainted: both may come faster than we look. A bundle that
 * is older says nothing: it may come of a server that is behind.
 */
function createVanished(): (above: UpstreamBundle) => Ids {
  let seen: { readonly sequenceNumber: number; readonly ids: Ids } | undefined;
  return (above) => {
    const { sequenceNumber } = above;
    const before = seen;
    if (sequenceNumber === undefined || (before !== undefined && sequenceNumber < before.sequenceNumber)) return none;
    const ids = idsOf(above);
    seen = { sequenceNumber, ids };
    if (before === undefined || sequenceNumber === before.sequenceNumber) return none;
    return { x509: without(before.ids.x509, ids.x509), jwt: without(before.ids.jwt, ids.jwt) };
  };
}

interface Ids {
  readonly x509: ReadonlySet<string>;
  readonly jwt: ReadonlySet<string>;
}

const none: Ids = { x509: new Set(), jwt: new Set() };

function without(all: ReadonlySet<string>, those: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...all].filter((id) => !those.has(id)));
}

function taintedIdsOf({ x509Authorities, jwtAuthorities }: Pick<TrustBundle, 'x509Authorities' | 'jwtAuthorities'>) {
  return {
    x509: new Set(x509Authorities.filter(({ tainted }) => tainted === true).map(x509AuthorityId)),
    jwt: new Set(jwtAuthorities.flatMap(({ keyId, tainted }) => (tainted === true ? [keyId] : []))),
  };
}

function idsOf({ x509Authorities, jwtAuthorities }: UpstreamBundle): Ids {
  return {
    x509: new Set(x509Authorities.map(x509AuthorityId)),
    jwt: new Set(jwtAuthorities.map(({ keyId }) => keyId)),
  };
}

/** Another server on this database may have been faster; the last authority stays, whatever is said of it. */
async function unlessGone(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'NOT_FOUND' || error.code === 'LAST_AUTHORITY')) return false;
    throw error;
  }
}
