// An agent starts again and again. Its SVIDs and its bundle are kept on its disk; what keeps it from staying up is on its node.
import { agentFaults } from './agent-faults.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';

/** So many looks in a row, each with a word of it. */
const steady = 3;

export function agentCrashLoop(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook(
    'agentCrashLoop',
    asked,
    async ({ request: { subject: agentId }, found, advise, lookAtAgent, until }) => {
      const first = await lookAtAgent();
      agentFaults(first).forEach(found);
      if (first.banned) {
        advise(`agent ${agentId} is banned and ends at every start: evict it if it may come back`);
        return 'needs a person';
      }
      let [inARow, heardAt] = [0, first.heardAt];
      const isSteady = await until(`agent ${agentId} to report ${steady} times in a row`, async () => {
        const now = await lookAtAgent();
        inARow = now.silent === false ? inARow + (now.heardAt === heardAt ? 0 : 1) : 0;
        heardAt = now.heardAt;
        return inARow >= steady;
      });
      if (isSteady) return 'recovered';
      agentFaults(await lookAtAgent()).forEach(found);
      advise(
        'its log on the node says why it ends: a key or an SVID that is damaged, a configuration that is refused, memory',
      );
      return 'needs a person';
    },
  );
}
