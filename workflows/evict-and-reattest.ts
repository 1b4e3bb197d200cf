// Lets a node back in that trust on first use locks out: its SVID ended while it was away. Its instance document never expires, so its cloud must say that the
// instance runs and was not started anew since, somebody must approve, and it must come back within minutes.
import type { Instance, SegmentPlan, TrustDomainPlan } from '../activities/plan.ts';
import type { AgentLook } from '../activities/runbooks/runbook.ts';
import { onCloudOnce, onRunbook } from './lib/calls.ts';
import { rootMessage } from './lib/failure-message.ts';
import { whereOf } from './lib/removals.ts';
import { agentFaults } from './runbooks/agent-faults.ts';
import { runRunbook } from './runbooks/runbook.ts';
import type { KeptRunbookReport } from './runbooks/runbook.ts';

/** The input is that of a runbook, with the node's name as its subject. The policy's deadline is how long each step may take: the window. */
export function evictAndReattest(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook(
    'evictAndReattest',
    asked,
    async ({ request, plan, topology, found, advise, tier, act, approved, until }) => {
      const { subject: node, trustDomain } = request;
      const segment = plan?.segments.find(({ nodes }) => nodes.includes(node));
      if (plan === undefined || segment === undefined) return 'needs a person'; // was checked with the request
      const before = await findInstance(plan, segment, node, found);
      if (before === undefined) return 'needs a person';
      const see = () => onRunbook().lookAtAgent({ topology, tier: segment.name, agentId: before.agentId });
      const look = await see();
      agentFaults(look).forEach(found);
      if (!look.isKnown) {
        advise(`nothing keeps ${node} out: its agent may attest`);
        return 'nothing is wrong';
      }
      if (look.banned) {
        advise(`agent ${before.agentId} is banned, and this lifts no ban: evict it by hand if it may come back`);
        return 'needs a person';
      }
      if (!look.hasExpired) return 'nothing is wrong';
      if (look.canReattest) {
        advise(`nothing keeps ${node} out: ${look.attestor} lets its agent attest again`);
        return 'nothing is wrong';
      }
      if (isRelaunched(before, look, found)) return 'needs a person';
      if (!(await approved(`evict agent ${before.agentId} of ${node}, so that it may attest again`)))
        return 'needs a person';
      // The approval took its time: what the cloud said may not hold any more.
      const now = await findInstance(plan, segment, node, found);
      if (now === undefined) return 'needs a person';
      if (now.instanceId !== before.instanceId || now.launchedAt !== before.launchedAt) {
        found(`${node} was started anew while the approval was waited for`);
        return 'needs a person';
      }
      const isOut = await act(`evict agent ${now.agentId}`, () =>
        onRunbook().ensureEvicted({ trustDomain, tier: tier(segment.name), agentId: now.agentId, endsAt: look.endsAt }),
      );
      if (!isOut) return 'needs a person';
      const isBack = await until(`agent ${now.agentId} to attest again`, async () => {
        const { isKnown, hasExpired } = await see();
        return isKnown && !hasExpired;
      });
      if (isBack) return 'recovered';
      advise(
        `${node} did not attest within its window, and whoever has its instance document still can: find out why, or take the instance away`,
      );
      return 'needs a person';
    },
  );
}

async function findInstance(
  { spec }: TrustDomainPlan,
  { cloud, region }: SegmentPlan,
  name: string,
  found: (what: string) => void,
): Promise<Instance | undefined> {
  try {
    return await onCloudOnce(cloud).waitForInstance({ ...whereOf(spec), region, name });
  } catch (cause) {
    found(`its cloud does not list ${name} as running: ${rootMessage(cause)}`);
    return undefined;
  }
}

/** What was started since may run anything. */
function isRelaunched({ name, launchedAt }: Instance, look: AgentLook, found: (what: string) => void): boolean {
  const { heardAt: since } = look;
  if (since === undefined) {
    // The end of its SVID says nothing: an instance that was started before it may have lost its agent long before.
    found(`the agent of ${name} never reported: nobody knows up to when the instance was what it was`);
    return true;
  }
  if (launchedAt === undefined) {
    found(`its cloud does not say when ${name} was started`);
    return true;
  }
  found(`${name} runs, and was started at ${launchedAt}; its agent was heard last at ${since}`);
  if (launchedAt <= since) return false;
  found(`${name} was started after its agent was heard last: what runs there now is not known`);
  return true;
}
