// One server of a pool does not answer. The others go on: nothing is lost unless they fail too.
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { answering, tierOf } from './tiers.ts';

export function downstreamServerDown(request: unknown): Promise<KeptRunbookReport> {
  return runRunbook(
    'downstreamServerDown',
    request,
    async ({ request: { subject }, topology, found, advise, look, until }) => {
      const name = topology.tiers.find(({ servers }) => servers.some((one) => one.name === subject))?.name;
      const see = async () => {
        const tier = tierOf(await look(), name);
        return { tier, server: tier?.servers.find((one) => one.name === subject) };
      };
      const { tier, server } = await see();
      if (server?.answers === true) return 'nothing is wrong';
      if (tier !== undefined && server !== undefined) {
        const others = answering(tier);
        found(`server ${subject} of tier ${tier.tier} does not answer: ${server.said ?? ''}`);
        found(
          `${others.length} of ${tier.servers.length} servers of tier ${tier.tier} answer: ${impactOf(others.length)}`,
        );
      }
      if (await until(`server ${subject} to answer`, async () => (await see()).server?.answers === true)) {
        found(`server ${subject} answers again`);
        return 'recovered';
      }
      advise(`replace server ${subject}: its console and its log say why it does not come back`);
      return 'needs a person';
    },
  );
}

function impactOf(left: number): string {
  if (left === 0) return 'nothing is issued, which is the runbook downstreamClusterDown';
  return left === 1 ? 'nothing is lost, and one more failure stops issuance' : 'nothing is lost';
}
