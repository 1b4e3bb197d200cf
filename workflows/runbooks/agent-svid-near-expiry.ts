// An agent's own SVID was not renewed at half its life. Until it ends the agent can still ask for a new one; after that it must attest again.
import { onRunbook } from '../lib/calls.ts';
import { agentFaults } from './agent-faults.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { faultsOf, tierOf } from './tiers.ts';

export function agentSvidNearExpiry(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('agentSvidNearExpiry', asked, async ({ request, topology, found, advise, look, until }) => {
    const { subject: agentId, tier: named } = request;
    const see = () => onRunbook().lookAtAgent({ topology, agentId, ...(named === undefined ? {} : { tier: named }) });
    const first = await see();
    agentFaults(first).forEach(found);
    const tier = tierOf(await look(), first.tier);
    if (tier !== undefined) faultsOf(tier).forEach(found);
    if (first.banned || !first.isKnown) {
      advise(`agent ${agentId} gets nothing more as it is: evict it and have it attest, if it may come back`);
      return 'needs a person';
    }
    const isRenewed = await until(`agent ${agentId} to renew its SVID`, async () => {
      const now = await see();
      return now.isKnown && now.endsAt > first.endsAt;
    });
    if (isRenewed) return 'recovered';
    const last = await see();
    agentFaults(last).forEach(found);
    advise(last.hasExpired ? 'it has ended: runbook agentUnreachable' : 'its log on the node says why it cannot renew');
    return 'needs a person';
  });
}
