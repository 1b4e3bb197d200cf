// Which tiers and authorities each step of a rotation is about: what differs between a root, an intermediate CA, a JWT key and somebody else's CA above.
import type { Claim, Replacement, RotationRequest, ServerAuthorities } from '../../activities/trust/rotation.ts';
import type { Tier, Topology } from '../../activities/trust/topology.ts';

export interface RotationScope {
  /** Whose authorities are replaced. */
  readonly tier: Tier;
  /** Those whose intermediate CAs are to be issued again, from the top down. */
  readonly reissued: readonly Tier[];
  /** How the old authority is tainted and revoked; `none`: bundles never had it, and it ends by itself. */
  readonly narrowing: 'own' | 'upstream' | 'none';
  readonly idsOf: (replaced: readonly Replacement[]) => {
    readonly old: readonly string[];
    readonly new: readonly string[];
  };
  /** Undefined: the claim has no meaning here. */
  readonly tiersOf: (claim: Claim) => readonly Tier[] | undefined;
}

export function scopeOf(
  request: RotationRequest,
  { tiers }: Topology,
  authorities: readonly ServerAuthorities[],
): RotationScope {
  const tier = find(tiers, request.tier);
  const below = descendants(tiers, tier.name);
  const family = [tier, ...below];
  if (request.kind === 'jwt') {
    const idsOf = ids(({ authorityId }) => authorityId);
    // A published key is known to the whole trust domain; taken back it is in its own tier and below: a SPIRE upstream keeps it until it ends.
    const of: Partial<Record<Claim, readonly Tier[]>> = { held: tiers, tainted: family, ended: [tier], gone: family };
    return { tier, reissued: [], narrowing: 'own', idsOf, tiersOf: (claim) => of[claim] };
  }
  if (request.operation === 'rotateUpstreamAuthority') {
    const idsOf = ids(({ upstreamAuthorityId }) => upstreamAuthorityId);
    return { tier, reissued: below, narrowing: 'upstream', idsOf, tiersOf: () => family };
  }
  const isRoot = authorities.every(
    ({ tier: of, active }) => of !== tier.name || active.upstreamAuthorityId === undefined,
  );
  const idsOf = ids(({ authorityId }) => authorityId);
  if (isRoot) return { tier, reissued: below, narrowing: 'own', idsOf, tiersOf: () => family };
  // An intermediate CA is in no bundle: nobody has to hear of it, and it ends when the last SVID under it does.
  return {
    tier,
    reissued: below,
    narrowing: 'none',
    idsOf,
    tiersOf: (claim) => (claim === 'moved' ? family : undefined),
  };
}

function ids(pick: (view: Replacement['old']) => string | undefined): RotationScope['idsOf'] {
  const distinct = (views: readonly Replacement['old'][]) =>
    [...new Set(views.map(pick).filter((id) => id !== undefined))].sort();
  return (replaced) => ({
    old: distinct(replaced.map((one) => one.old)),
    new: distinct(replaced.map((one) => one.new)),
  });
}

function find(tiers: readonly Tier[], name: string): Tier {
  const found = tiers.find((tier) => tier.name === name);
  if (found === undefined) throw new Error(`no tier ${name}`); // checked with the request
  return found;
}

/** Each after its parent, as they are given. */
function descendants(tiers: readonly Tier[], name: string): Tier[] {
  const names = new Set([name]);
  return tiers.filter((tier) => {
    if (tier.parent === undefined || !names.has(tier.parent)) return false;
    names.add(tier.name);
    return true;
  });
}
