// An agent's own SVID was not renewed at half its life. Until it ends the agent can still ask for a new one; after that it must attest again.
import { agentFaults } from './agent-faults.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { faultsOf } from './tiers.ts';

export function agentSvidNearExpiry(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook(
    'agentSvidNearExpiry',
    asked,
    async ({ request: { subject: agentId }, found, advise, lookAt, lookAtAgent, until }) => {
      const first = await lookAtAgent();
      agentFaults(first).forEach(found);
      const tier = await lookAt(first.tier);
      if (tier !== undefined) faultsOf(tier).forEach(found);
      if (first.banned || !first.isKnown) {
        advise(`agent ${agentId} gets nothing more as it is: evict it and have it attest, if it may come back`);
        return 'needs a person';
      }
      const isRenewed = await until(`agent ${agentId} to renew its SVID`, async () => {
        const now = await lookAtAgent();
        return now.isKnown && now.endsAt > first.endsAt;
      });
      if (isRenewed) return 'recovered';
      const last = await lookAtAgent();
      agentFaults(last).forEach(found);
      advise(
        last.hasExpired ? 'it has ended: runbook agentUnreachable' : 'its log on the node says why it cannot renew',
      );
      return 'needs a person';
    },
  );
}
