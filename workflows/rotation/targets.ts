// Whose authority is replaced by which: from how things stand to what is to be done on each server. Pure.
import { ApplicationFailure } from '@temporalio/workflow';
import type {
  AuthorityView,
  Finding,
  RotationRequest,
  ServerAuthorities,
  Survey,
} from '../../activities/trust/rotation.ts';
import type { TierServer } from '../../activities/trust/topology.ts';

export interface Target {
  readonly tier: string;
  readonly server: TierServer;
  readonly old: AuthorityView;
  /** There where it has been prepared, or activated, before. */
  readonly new?: AuthorityView;
  /** Authorities that were there before this rotation: what it prepares is none of them. */
  readonly notAmong: readonly string[];
}

/** Throws InvalidRequest where what is asked makes no sense as things stand. */
export function targetsOf(request: RotationRequest, authorities: readonly ServerAuthorities[]): Target[] {
  const own = authorities.filter(({ tier }) => tier === request.tier);
  if (request.operation === 'distrustAuthority') return distrusted(request, own);
  return own.map((one) => (request.resume ? resumed(one) : fresh(one)));
}

function fresh({ tier, server, active, prepared, old }: ServerAuthorities): Target {
  const known = [active, prepared, old].flatMap((view) => (view === undefined ? [] : [view.authorityId]));
  return { tier, server, old: active, notAmong: known };
}

/** A rotation that was ended from outside left a successor that waits, or one that signs already. */
function resumed(one: ServerAuthorities): Target {
  const { tier, server, active, prepared, old } = one;
  if (prepared !== undefined) return { tier, server, old: active, new: prepared, notAmong: [] };
  if (old !== undefined) return { tier, server, old, new: active, notAmong: [] };
  throw invalid(`server ${server.name} has nothing to go on with: neither a prepared nor an old authority`);
}

/** Those that sign with it get another; those that did so before are done with that part. */
function distrusted({ authorityId, tier, kind }: RotationRequest, own: readonly ServerAuthorities[]): Target[] {
  if (kind === 'x509' && own.some(({ active }) => active.upstreamAuthorityId !== undefined)) {
    throw invalid(
      `the CAs of tier ${tier} are intermediates, which no bundle holds: distrust the root above, and each of them is issued again`,
    );
  }
  const targets = own.flatMap((one): Target[] => {
    const isMeant = (view: AuthorityView | undefined): view is AuthorityView =>
      view !== undefined && (authorityId === undefined || view.authorityId === authorityId);
    if (isMeant(one.active)) return [fresh(one)];
    return isMeant(one.old) ? [{ tier, server: one.server, old: one.old, new: one.active, notAmong: [] }] : [];
  });
  if (targets.length > 0) return targets;
  throw invalid(`no server of tier ${tier} signs or signed with authority ${JSON.stringify(authorityId ?? '')}`);
}

export function blockersOf(request: RotationRequest, { findings, authorities }: Survey): Finding[] {
  const blockers = findings.filter(({ severity }) => severity === 'blocker');
  const isUpstreamMissing =
    request.operation === 'rotateUpstreamAuthority' &&
    authorities.some(({ tier, active }) => tier === request.tier && active.upstreamAuthorityId === undefined);
  if (!isUpstreamMissing) return blockers;
  return [
    ...blockers,
    { severity: 'blocker', tier: request.tier, what: 'its CA is a root itself: there is no authority above it' },
  ];
}

function invalid(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'InvalidRequest', nonRetryable: true, message });
}
