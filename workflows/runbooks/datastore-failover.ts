// The datastore of a tier is away, as it is while PostgreSQL fails over. Servers go on with what they know; nothing new is let in and no CA rotates.
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { answering, faultsOf } from './tiers.ts';

export function datastoreFailover(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('datastoreFailover', asked, async ({ request: { tier: name }, found, advise, lookAt, until }) => {
    const tier = await lookAt(name);
    if (tier === undefined) return 'nothing is wrong';
    faultsOf(tier).forEach(found);
    if (faultsOf(tier).length === 0) return 'nothing is wrong';
    if (tier.datastore === 'away')
      found(
        `${answering(tier).length} servers of tier ${tier.tier} sign on for the agents that they know; no entry changes and no CA rotates`,
      );
    const isBack = await until(`the datastore of tier ${tier.tier} to answer`, async () => {
      const now = await lookAt(name);
      return now !== undefined && faultsOf(now).length === 0;
    });
    if (!isBack) {
      advise(
        'a failover takes less than a minute: find the primary; of two that both take writes, fence the one whose log is older',
      );
      advise('a datastore that does not come back: restore it, then runbook datastoreLost');
      return 'needs a person';
    }
    const areWhole = await until(`every holder of tier ${tier.tier} to have the bundle as it is`, async () => {
      const now = await lookAt(name);
      return now !== undefined && now.agents.behindCount === 0 && now.downstreams.behindCount === 0;
    });
    if (areWhole) return 'recovered';
    advise(
      'holders that stay behind: a primary that lost its last writes shows an older bundle; runbook datastoreLost',
    );
    return 'needs a person';
  });
}
