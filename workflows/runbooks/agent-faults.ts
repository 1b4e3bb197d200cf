// What is wrong with an agent, as its server sees it, in words. Pure.
import type { AgentLook } from '../../activities/runbooks/runbook.ts';

export function agentFaults(look: AgentLook): string[] {
  const { agentId, tier, isKnown, banned, hasExpired, canReattest, attestor, endsAt, silent, heardAt = '' } = look;
  if (!isKnown) return [`tier ${tier} knows no agent ${agentId}: it has not attested, or was evicted`];
  const wayBack = canReattest
    ? 'it attests anew by itself'
    : `${attestor} trusts on first use: it stays out until it is evicted`;
  return [
    ...(banned ? [`agent ${agentId} is banned`] : []),
    ...(hasExpired ? [`the SVID of agent ${agentId} ended at ${endsAt}: ${wayBack}`] : [`its SVID ends at ${endsAt}`]),
    ...(silent === true ? [`agent ${agentId} was heard last at ${heardAt}`] : []),
    ...(silent === undefined ? [`agent ${agentId} reports nothing: it is plain SPIRE, or has not reported yet`] : []),
  ];
}
