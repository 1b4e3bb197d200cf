// A node is compromised. Its agent is banned: it gets nothing more, and its connections end. What it holds cannot be called back: it is named, with its end.
import { patched } from '@temporalio/workflow';
import { onNodes, onRunbook } from '../lib/calls.ts';
import { whereOf } from '../lib/removals.ts';
import { agentFaults } from './agent-faults.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport, Runbook } from './runbook.ts';

export function containNode(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('containNode', asked, async (runbook) => {
    const { request, found, advise, lookAtAgent, tier, act, approved, until } = runbook;
    const { subject: agentId, trustDomain } = request;
    const first = await lookAtAgent();
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
    const isCutOff = await cutOff(runbook, first.tier);
    const ends =
      [first.endsAt, ...(first.servesUntil === undefined ? [] : [first.servesUntil])].toSorted().at(-1) ?? '';
    found(`what the node holds, its agent\u2019s SVID and those of its workloads, ends at ${ends} at the latest`);
    const hasEnded = await until(`what the node holds to end, at ${ends}`, () =>
      Promise.resolve(Date.now() >= Date.parse(ends)),
    );
    const last = await lookAtAgent(first.tier);
    if (!last.banned) {
      found(`agent ${agentId} is not banned any more: somebody let it back in`);
      return 'needs a person';
    }
    const disk = 'keep its disk for whoever examines it, and look through the audit log for what it was given';
    advise(
      isCutOff
        ? `${disk}; connections that the node had may last until they are idle, until it is stopped`
        : `cut the node off in its cloud, ${disk}`,
    );
    if (!hasEnded)
      advise(
        `to end before ${ends} what it holds: distrustAuthority of tier ${first.tier}, which replaces every SVID there`,
      );
    return 'contained';
  });
}

/** In its cloud, where the request has a specification that says which; false where it is not. */
async function cutOff({ request, plan, found, act, approved }: Runbook, tier: string): Promise<boolean> {
  const segment = plan?.segments.find(({ name }) => name === tier);
  if (plan === undefined || segment === undefined || !patched('contained nodes are cut off')) return false;
  const { cloud, region, nodeIdentity: role } = segment;
  const { subject: agentId } = request;
  if (!(await approved(`cut the node of agent ${agentId} off in ${cloud}`))) return false;
  let node: string | undefined;
  const isDone = await act(`cut the node of agent ${agentId} off in ${cloud}`, async () => {
    node = await onNodes(cloud).isolateAgent({ ...whereOf(plan.spec), region, role, agentId });
  });
  if (isDone && node === undefined) found(`${cloud} lists no node whose agent is ${agentId}`);
  if (node !== undefined) found(`node ${node} is cut off: no new connection reaches it, and it opens none`);
  return isDone && node !== undefined;
}
