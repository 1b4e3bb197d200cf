// An agent starts again and again. Its SVIDs and its bundle are kept on its disk; what keeps it from staying up is on its node.
import { onRunbook } from '../lib/calls.ts';
import { agentFaults } from './agent-faults.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';

/** So many looks in a row, each with a word of it. */
const steady = 3;

export function agentCrashLoop(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('agentCrashLoop', asked, async ({ request, topology, found, advise, until }) => {
    const { subject: agentId, tier: named } = request;
    const see = () => onRunbook().lookAtAgent({ topology, agentId, ...(named === undefined ? {} : { tier: named }) });
    const first = await see();
    agentFaults(first).forEach(found);
    if (first.banned) {
      advise(`agent ${agentId} is banned and ends at every start: evict it if it may come back`);
      return 'needs a person';
    }
    let [inARow, heardAt] = [0, first.heardAt];
    const isSteady = await until(`agent ${agentId} to report ${steady} times in a row`, async () => {
      const now = await see();
      inARow = now.silent === false ? inARow + (now.heardAt === heardAt ? 0 : 1) : 0;
      heardAt = now.heardAt;
      return inARow >= steady;
    });
    if (isSteady) return 'recovered';
    agentFaults(await see()).forEach(found);
    advise(
      'its log on the node says why it ends: a key or an SVID that is damaged, a configuration that is refused, memory',
    );
    return 'needs a person';
  });
}
