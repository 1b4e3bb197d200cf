// Many entries are gone at once: workloads lose their identities as agents follow. What the last snapshot had is restored when somebody approves it.
import type { EntryDifference } from '../../activities/runbooks/runbook.ts';
import { onRunbook } from '../lib/calls.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport, Runbook } from './runbook.ts';

export function registrationEntryDrop(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('registrationEntryDrop', asked, async (runbook) => {
    const { request, tier } = runbook;
    const { tier: name = '', trustDomain } = request;
    const compare = () => onRunbook().compareEntries({ trustDomain, tier: tier(name) });
    const difference = await compare();
    if (difference.snapshot !== undefined && difference.missing === 0) return 'nothing is wrong';
    return (await offerRestore(runbook, name, difference)) ? 'recovered' : 'needs a person';
  });
}

/** Returns whether everything that the snapshot has is there now. */
export async function offerRestore(runbook: Runbook, name: string, difference: EntryDifference): Promise<boolean> {
  const { request, tier, found, advise, act, approved } = runbook;
  const { trustDomain } = request;
  const { snapshot, takenAt = '', before, now, missing, examples } = difference;
  if (snapshot === undefined) {
    found(`tier ${name} has ${now} entries, and there is no snapshot to compare them with`);
    advise(
      'schedule the workflow snapshotTrust, so that there is one the next time; the audit log says who deleted what',
    );
    return false;
  }
  if (missing === 0) return true;
  found(`tier ${name} has ${now} entries; of the ${before} at ${takenAt} ${missing} are gone`);
  found(`gone: ${examples.join(', ')}${missing > examples.length ? ', \u2026' : ''}`);
  const isApproved = await approved(`restore ${missing} entries of tier ${name} from ${snapshot}`);
  if (!isApproved) return false;
  await act(`restore ${missing} entries of tier ${name} from ${snapshot}`, () =>
    onRunbook().restoreEntries({ trustDomain, tier: tier(name), snapshot }),
  );
  const after = await onRunbook().compareEntries({ trustDomain, tier: tier(name) });
  if (after.missing === 0) return true;
  found(`${after.missing} entries are still gone: ${after.examples.join(', ')}`);
  return false;
}
