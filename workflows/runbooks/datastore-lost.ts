// A datastore was lost and restored from a backup, which is older than what servers and agents have seen. What it lacks is found: authorities that sign and
// are not published, and entries that were registered since.
import { onRunbook } from '../lib/calls.ts';
import { offerRestore } from './registration-entry-drop.ts';
import { replaceAuthorities } from './replace-authorities.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';
import { faultsOf, isServing } from './tiers.ts';

export function datastoreLost(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('datastoreLost', asked, async (runbook) => {
    const { request, found, advise, lookAt, act, until } = runbook;
    const { tier: name = '', trustDomain } = request;
    const before = await lookAt(name);
    if (before !== undefined) faultsOf(before).forEach(found);
    const isRestored = await until(`the datastore of tier ${name} to be restored from its backup`, async () => {
      const now = await lookAt(name);
      return now !== undefined && isServing(now);
    });
    if (!isRestored) {
      advise(
        `restore the newest backup of the database of tier ${name}, start its servers, and start this runbook again`,
      );
      return 'needs a person';
    }
    const restored = await lookAt(name);
    const unpublished = restored?.unpublished ?? [];
    for (const server of unpublished)
      found(`server ${server} signs with an authority that the restored bundle does not have`);
    if (unpublished.length > 0) {
      await act(`replace the authorities of tier ${name}`, () => replaceAuthorities(runbook, name));
    }
    const difference = await onRunbook().compareEntries({ trustDomain, tier: runbook.tier(name) });
    const areThere = await offerRestore(runbook, name, difference);
    const after = await lookAt(name);
    if (areThere && after !== undefined && faultsOf(after).length === 0) return 'recovered';
    if (after !== undefined) faultsOf(after).forEach(found);
    return 'needs a person';
  });
}
