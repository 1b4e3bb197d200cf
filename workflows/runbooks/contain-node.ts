// A node is compromised. Its agent is banned: it gets nothing more, and its connections end. What it holds cannot be called back: it is named, with its end.
import { onRunbook } from '../lib/calls.ts';
import { agentFaults } from './agent-faults.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';

export function containNode(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('containNode', asked, async (runbook) => {
    const { request, topology, found, advise, tier, act, approved, until } = runbook;
    const { subject: agentId, tier: named, trustDomain } = request;
    const see = (at = named) =>
      onRunbook().lookAtAgent({ topology, agentId, ...(at === undefined ? {} : { tier: at }) });
    const first = await see();
    agentFaults(first).forEach(found);
    if (!first.isKnown) return 'needs a person';
    if (first.serves > 0)
      found(
        `it serves ${first.serves} SVIDs to ${first.streams} streams; the last of them ends at ${first.servesUntil ?? ''}`,
      );
    if (!first.banned) {
      if (!(await approved(`ban agent ${agentId}`))) return 'needs a person';
      const isDone = await act(`ban agent ${agentId}`, () =>
        onRunbook().ensureBanned({ trustDomain, tier: tier(first.tier), agentId }),
      );
      if (!isDone) return 'needs a person';
    }
    const ends =
      [first.endsAt, ...(first.servesUntil === undefined ? [] : [first.servesUntil])].toSorted().at(-1) ?? '';
    found(`what the node holds, its agent\u2019s SVID and those of its workloads, ends at ${ends} at the latest`);
    const hasEnded = await until(`what the node holds to end, at ${ends}`, () =>
      Promise.resolve(Date.now() >= Date.parse(ends)),
    );
    const last = await see(first.tier);
    if (!last.banned) {
      found(`agent ${agentId} is not banned any more: somebody let it back in`);
      return 'needs a person';
    }
    advise(
      'cut the node off in its cloud, keep its disk for whoever examines it, and look through the audit log for what it was given',
    );
    if (!hasEnded)
      advise(
        `to end before ${ends} what it holds: distrustAuthority of tier ${first.tier}, which replaces every SVID there`,
      );
    return 'contained';
  });
}
