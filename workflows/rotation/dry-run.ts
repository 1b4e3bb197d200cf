// Says what a rotation would do, to whom, how long it would take by today's figures, and what stands in its way. Changes nothing, and needs no lock.
import type { DryRunReport, Gate, RotationRequest } from '../../activities/trust/rotation.ts';
import type { Topology } from '../../activities/trust/topology.ts';
import { onTrustOnce } from '../lib/calls.ts';
import { scopeOf } from './scope.ts';
import { blockersOf, targetsOf } from './targets.ts';

export async function rehearseRotation(request: RotationRequest, topology: Topology): Promise<DryRunReport> {
  const survey = await onTrustOnce().surveyTrust({ topology, request });
  const { operation, trustDomain, tier, policy } = request;
  const scope = scopeOf(request, topology, survey.authorities);
  const targets = targetsOf(request, survey.authorities);
  const meant = new Set(targets.map(({ server }) => server.name));
  const gates: Gate[] = [
    ...(policy.approveActivation ? (['activation'] as const) : []),
    ...(policy.approveRevocation && scope.narrowing !== 'none' ? (['revocation'] as const) : []),
  ];
  const names = (tiers: readonly { readonly name: string }[]): string => tiers.map(({ name }) => name).join(', ');
  const proof = (claim: Parameters<typeof scope.tiersOf>[0]): string[] => {
    const tiers = scope.tiersOf(claim);
    return tiers === undefined ? [] : [`prove "${claim}" in ${names(tiers)}`];
  };
  return {
    operation,
    trustDomain,
    tier,
    wouldReplace: survey.authorities.filter((one) => one.tier === tier && meant.has(one.server.name)),
    holders: survey.holders,
    expectations: survey.expectations.filter(({ claim }) => scope.tiersOf(claim) !== undefined),
    blockers: blockersOf(request, survey),
    warnings: survey.findings.filter(({ severity }) => severity === 'warning'),
    approvals: gates,
    steps: [
      ...targets.filter((target) => target.new === undefined).map(({ server }) => `prepare at ${server.name}`),
      ...proof('held'),
      ...(gates.includes('activation') ? ['wait for the approval of the activation'] : []),
      'POINT OF NO RETURN',
      ...targets.map(({ server }) => `activate at ${server.name}`),
      ...(scope.reissued.length === 0 ? [] : [`issue the intermediate CAs again in ${names(scope.reissued)}`]),
      ...(policy.soak === 'natural' ? proof('moved') : []),
      ...(scope.narrowing === 'none' ? [] : narrowing()),
    ],
  };

  function narrowing(): string[] {
    const ids = scope.idsOf(targets.map((target) => ({ ...target, new: target.new ?? target.old }))).old;
    return [
      ...ids.map((id) => `taint ${id}`),
      ...proof('tainted'),
      ...(policy.agedOut === 'wait' ? proof('ended') : []),
      ...(gates.includes('revocation') ? ['wait for the approval of the revocation'] : []),
      ...ids.map((id) => `revoke ${id}`),
      ...proof('gone'),
    ];
  }
}
