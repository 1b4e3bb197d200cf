// No server of a tier serves: nothing is issued there, and agents live on what they have.
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { answering, faultsOf, isServing, silenceOf, tierOf } from './tiers.ts';

export function downstreamClusterDown(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('downstreamClusterDown', asked, async ({ request, plan, found, advise, look, lookAt, until }) => {
    const { tier: name } = request;
    const before = await look();
    const tier = tierOf(before, name);
    if (tier !== undefined && isServing(tier) && answering(tier).length === tier.servers.length)
      return 'nothing is wrong';
    if (tier !== undefined) faultsOf(tier).forEach(found);
    const parent = tierOf(before, tier?.parent);
    if (parent !== undefined) {
      faultsOf(parent).forEach(found);
      silenceOf(parent).forEach(found);
      found(causeOf(parent.agents.silentCount, parent.downstreams.silentCount));
    }
    if (plan !== undefined)
      found(
        `X.509-SVIDs of tier ${name ?? ''} last ${plan.spec.ttl.x509Svid} at most from when they were issued; agents serve them until then`,
      );
    const isBack = await until(`tier ${name ?? ''} to serve`, async () => {
      const now = await lookAt(name);
      return now !== undefined && isServing(now);
    });
    if (!isBack) {
      advise(
        `look at the instances, then at PostgreSQL of tier ${name ?? ''}; agents come back by themselves once a server serves`,
      );
      return 'needs a person';
    }
    const areBack = await until(`the agents of tier ${name ?? ''} to report`, async () => {
      const now = await lookAt(name);
      return now !== undefined && now.agents.silentCount === 0;
    });
    if (areBack) return 'recovered';
    const after = await lookAt(name);
    if (after !== undefined) silenceOf(after).forEach(found);
    advise('agents that stay silent: runbook massAgentFailure, or agentUnreachable where they are few');
    return 'needs a person';
  });
}

/** The upstream hears from the servers themselves, and from the agents on their hosts. */
function causeOf(silentHosts: number, silentServers: number): string {
  if (silentServers === 0)
    return 'their upstream still hears from the servers: what is broken is between them and us, or their API';
  return silentHosts === 0
    ? 'the agents on their hosts are heard: what is broken are the servers themselves, or their datastore'
    : 'the agents on their hosts are silent too: the hosts are down, or the network between the tiers';
}
