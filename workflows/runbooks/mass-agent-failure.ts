// Many agents fall silent at once. They have one cause: it is looked for, and no agent is restarted, as that would take from workloads what they still have.
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { faultsOf, silenceOf, tierOf } from './tiers.ts';

/** Fewer than these are single agents' troubles. */
const few = { count: 3, share: 0.1 };

export function massAgentFailure(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook(
    'massAgentFailure',
    asked,
    async ({ request: { tier: name = '' }, found, advise, look, lookAt, until }) => {
      const isMass = async (): Promise<boolean> => {
        const now = await lookAt(name);
        if (now === undefined || now.datastore !== 'answers') return true; // nobody can say
        const { silentCount, total } = now.agents;
        return silentCount >= few.count && silentCount > total * few.share;
      };
      const looks = await look();
      const tier = tierOf(looks, name);
      const parent = tierOf(looks, tier?.parent);
      for (const one of [tier, parent]) if (one !== undefined) [...faultsOf(one), ...silenceOf(one)].forEach(found);
      if (!(await isMass())) return 'nothing is wrong';
      if (tier?.agents.firstEnd !== undefined)
        found(`the first agent\u2019s SVID ends at ${tier.agents.firstEnd}: until then agents come back by themselves`);
      found('agents are not restarted: each serves its workloads what it has until that ends');
      const isOver = await until(`the agents of tier ${name} to report`, async () => !(await isMass()));
      if (isOver) return 'recovered';
      advise(nextOf(tier === undefined ? [] : faultsOf(tier), tier?.agents.common ?? []));
      return 'needs a person';
    },
  );
}

function nextOf(faults: readonly string[], common: readonly string[]): string {
  if (faults.length > 0) return 'their servers come first: runbook downstreamClusterDown, or datastoreFailover';
  const [first] = common;
  if (first === undefined)
    return 'they have nothing in common that their servers know of: look at what was changed on the nodes';
  if (first.startsWith('version')) return `they run one version (${first}): roll it back, in waves`;
  if (first.startsWith('a clock')) return `their clocks are off (${first}): nothing that they show is valid in time`;
  return `look at what they have in common: ${first}`;
}
