// An agent is not heard any more. It serves what it has until that ends; where its own SVID has ended and its attestor trusts on first use, it must be evicted.
import { onRunbook } from '../lib/calls.ts';
import { agentFaults } from './agent-faults.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { faultsOf } from './tiers.ts';

export function agentUnreachable(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('agentUnreachable', asked, async (runbook) => {
    const { request, found, advise, lookAt, lookAtAgent, tier, act, approved, until } = runbook;
    const { subject: agentId, trustDomain } = request;
    const first = await lookAtAgent();
    agentFaults(first).forEach(found);
    const its = await lookAt(first.tier);
    if (its !== undefined) faultsOf(its).forEach(found);
    if (first.banned) {
      advise(`agent ${agentId} is banned: evict it if it may come back`);
      return 'needs a person';
    }
    if (first.isKnown && first.silent === false && !first.hasExpired) return 'nothing is wrong';
    const isLockedOut = first.isKnown && first.hasExpired && !first.canReattest;
    if (isLockedOut) {
      // Whoever has the node's identity document may attest after this: somebody has to know that the node is what it was.
      if (!(await approved(`evict agent ${agentId}, so that it may attest again`))) return 'needs a person';
      await act(`evict agent ${agentId}`, () =>
        onRunbook().ensureEvicted({ trustDomain, tier: tier(first.tier), agentId, endsAt: first.endsAt }),
      );
    }
    const isBack = await until(`agent ${agentId} to be heard`, async () => {
      const now = await lookAtAgent(first.tier);
      return now.isKnown && !now.hasExpired && now.silent !== true;
    });
    if (isBack) return 'recovered';
    advise(`look at the node of agent ${agentId}: whether it runs, and whether it reaches its server`);
    return 'needs a person';
  });
}
