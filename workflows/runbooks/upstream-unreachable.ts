// The root tier cannot be reached. Tiers below sign on with the intermediate CAs that they have, X.509 and JWT alike, until those end.
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { faultsOf, isServing, silenceOf } from './tiers.ts';

export function upstreamUnreachable(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('upstreamUnreachable', asked, async ({ found, advise, look, until }) => {
    const [root, ...below] = await look();
    if (root === undefined) return 'nothing is wrong';
    faultsOf(root).forEach(found);
    silenceOf(root).forEach(found);
    for (const { tier, servers } of below) {
      for (const { name, answers, said, authority } of servers) {
        if (answers && authority !== undefined)
          found(`server ${name} of tier ${tier} signs until ${authority.expiresAt} with the CA that it has`);
        if (!answers) found(`server ${name} of tier ${tier} does not answer either: ${said ?? ''}`);
      }
    }
    const isWhole = async (): Promise<boolean> => {
      const [now] = await look();
      return now !== undefined && isServing(now) && now.downstreams.silentCount === 0;
    };
    if (await isWhole()) return 'nothing is wrong';
    found('JWT-SVIDs are signed on: their keys are the servers\u2019 own, and only new ones wait to be published');
    if (await until('the upstream to serve, and every downstream server to report to it', isWhole)) return 'recovered';
    advise(
      'look at the network between the tiers first, then at the upstream\u2019s servers and its datastore; the earliest end above is the deadline',
    );
    return 'needs a person';
  });
}
