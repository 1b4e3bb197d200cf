// An intermediate CA is not renewed. When it ends, its tier issues nothing more: where the upstream answers, new ones are asked for at once.
import { replaceAuthorities } from './replace-authorities.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { answering, faultsOf, isServing, tierOf } from './tiers.ts';
import type { TierLook } from '../../activities/runbooks/runbook.ts';

export function intermediateRenewalFailing(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('intermediateRenewalFailing', asked, async (runbook) => {
    const { request, found, advise, look, lookAt, act, until } = runbook;
    const { tier: name = '' } = request;
    const before = await look();
    const tier = tierOf(before, name);
    const parent = tierOf(before, tier?.parent);
    if (tier === undefined || parent === undefined) {
      advise(`tier ${name} has no upstream: its CA is a root, which rotateX509Authority replaces`);
      return 'needs a person';
    }
    faultsOf(tier).forEach(found);
    faultsOf(parent).forEach(found);
    const ends = endsOf(tier);
    for (const [server, end] of ends) found(`the CA of server ${server} ends at ${end}`);
    if (!isServing(parent)) {
      advise(
        `the upstream ${parent.tier} does not serve: runbook upstreamUnreachable; the earliest end above is the deadline`,
      );
      return 'needs a person';
    }
    await act(`have every server of tier ${name} issued a new CA`, () => replaceAuthorities(runbook, name));
    const isRenewed = await until(`new CAs in tier ${name}`, async () => {
      const now = await lookAt(name);
      return (
        now !== undefined && isServing(now) && [...endsOf(now)].every(([server, end]) => end > (ends.get(server) ?? ''))
      );
    });
    if (isRenewed) return 'recovered';
    advise(`the logs of the servers of tier ${name} say why their upstream gives them no CA`);
    return 'needs a person';
  });
}

/** RFC 3339 in UTC, which sorts by time. */
function endsOf(look: TierLook): ReadonlyMap<string, string> {
  return new Map(answering(look).map(({ name, authority }) => [name, authority?.expiresAt ?? '']));
}
