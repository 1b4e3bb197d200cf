// When authorities are replaced, and how long what they sign may live. SPIRE's thresholds.
import type { Logger } from '../../log.ts';
import { formatDuration } from '../../spiffe/duration.ts';
import { checkTtlLattice } from '../../spiffe/ttl-lattice.ts';
import { AuthorityError } from './authority.ts';
import type { AuthorityConfig } from './authority.ts';

const dayMs = 86_400_000;
const maxPrepareMs = 30 * dayMs;
const maxActivateMs = 7 * dayMs;

/** epoch ms */
export interface Lifetime {
  readonly issuedAt: number;
  readonly notAfter: number;
}

/** The successor is made from here on: half of the life, at most 30 days before the end. */
export function prepareTime({ issuedAt, notAfter }: Lifetime): number {
  return notAfter - Math.min((notAfter - issuedAt) / 2, maxPrepareMs);
}

/** The successor signs from here on: a sixth of the life, at most 7 days before the end. */
export function activateTime({ issuedAt, notAfter }: Lifetime): number {
  return notAfter - Math.min((notAfter - issuedAt) / 6, maxActivateMs);
}

/** now + TTL, never past what signs it. Throws NOT_READY when that has ended. */
export function cutExpiry(now: number, ttlMs: number, signedBy: Lifetime): number {
  if (signedBy.notAfter <= now) throw new AuthorityError('NOT_READY', 'authority has expired');
  return Math.min(now + ttlMs, signedBy.notAfter);
}

/** A TTL that was asked for; absent, zero and negative mean the default. */
export function ttlOr(asked: number | undefined, byDefault: number): number {
  return asked !== undefined && asked > 0 ? asked : byDefault;
}

/** What an upstream signed for as long as it was asked ends at a whole second, and has been on its way: it has a little less left, and breaks no lattice. */
const onItsWayMs = 10_000;

/** Refuses an X.509 authority too short for a single SVID; a broken lattice is refused only when it is enforced. */
export function checkAuthorityLifetime(lifetime: Lifetime, config: AuthorityConfig, log: Logger): void {
  const { x509SvidTtl, ttlLattice = 'warn' } = config;
  const intermediate = lifetime.notAfter - lifetime.issuedAt;
  if (intermediate < x509SvidTtl) {
    const lives = `${formatDuration(intermediate)}, an X509-SVID ${formatDuration(x509SvidTtl)}`;
    throw new AuthorityError('TTL_LATTICE', `X.509 authority would end before what it signs: it lives ${lives}`);
  }
  const asked = { root: Number.POSITIVE_INFINITY, intermediate: intermediate + onItsWayMs, x509Svid: x509SvidTtl };
  const [fault] = checkTtlLattice(asked);
  if (fault === undefined) return;
  if (ttlLattice === 'enforce') throw new AuthorityError('TTL_LATTICE', fault.message);
  log.warn(`TTL lattice broken, SVIDs will be cut short: ${fault.message}`);
}

/** Made at the moment, an authority is a little older when it is activated. */
const activationCushionMs = 10_000;

/** Refuses to activate what would end before an SVID of default lifetime does: it would cut every one of them short. */
export function checkRemainingLifetime(
  what: string,
  { notAfter }: Lifetime,
  { now, svidTtl }: { readonly now: number; readonly svidTtl: number },
): void {
  if (notAfter - now + activationCushionMs >= svidTtl) return;
  const left = `${formatDuration(wholeSeconds(notAfter - now))}, an SVID ${formatDuration(svidTtl)}`;
  throw new AuthorityError('TTL_LATTICE', `${what} would end before what it signs: it has left ${left}`);
}

function wholeSeconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000) * 1000);
}

/** The step below: a downstream's CA under ours. */
export function checkDownstreamLifetime(ttlMs: number, ours: Lifetime, config: AuthorityConfig, log: Logger): void {
  const root = ours.notAfter - ours.issuedAt + onItsWayMs;
  const fault = checkTtlLattice({ root, intermediate: ttlMs, x509Svid: 0 }).find(({ place }) => place === 'root');
  if (fault === undefined) return;
  if (config.ttlLattice === 'enforce') throw new AuthorityError('TTL_LATTICE', fault.message);
  log.warn(`TTL lattice broken, a downstream CA may be cut short: ${fault.message}`);
}
