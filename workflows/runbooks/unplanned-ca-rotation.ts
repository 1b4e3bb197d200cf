// A server signs with another authority than when the last snapshot was taken. Servers replace theirs by themselves, so it is shown which, and somebody
// decides: a new one that nobody wanted is distrusted when that is approved.
import { executeChild, workflowInfo } from '@temporalio/workflow';
import { onRunbook } from '../lib/calls.ts';
import { workflowId } from '../lib/workflow-ids.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport } from './runbook.ts';

export function unplannedCaRotation(asked: unknown): Promise<KeptRunbookReport> {
  return runRunbook('unplannedCaRotation', asked, async (runbook) => {
    const { request, topology, found, advise, tier, act, approved } = runbook;
    const { tier: name = '', trustDomain, requester } = request;
    const { takenAt, servers } = await onRunbook().compareAuthorities({ trustDomain, tier: tier(name) });
    if (takenAt === undefined) {
      found(`there is no snapshot of tier ${name} to compare with`);
      advise('schedule the workflow snapshotTrust, so that there is one the next time');
    }
    const changed = servers.filter(({ before, now }) => before?.authorityId !== now.authorityId);
    if (changed.length === 0) return 'nothing is wrong';
    for (const { server, before, now } of changed) {
      const was =
        before === undefined
          ? 'nothing is known of before'
          : `before, ${before.authorityId}, which would have lasted until ${before.expiresAt}`;
      found(`server ${server.name} signs with ${now.authorityId}, until ${now.expiresAt}; ${was}`);
    }
    const isRoot = changed.every(({ now }) => now.upstreamAuthorityId === undefined);
    if (!isRoot) {
      found(
        'intermediate CAs are renewed at half their lives: one that nobody wanted ends with a new one, by rotateX509Authority of this tier',
      );
      return 'needs a person';
    }
    const names = changed.map(({ now }) => now.authorityId);
    if (!(await approved(`distrust ${names.join(', ')} of tier ${name}`))) {
      advise('if the audit log of the server shows who rotated and why, nothing is to be done; take a new snapshot');
      return 'needs a person';
    }
    for (const authorityId of names) {
      await act(`distrust ${authorityId}`, () =>
        executeChild('distrustAuthority', {
          args: [{ topology, tier: name, authorityId, requester, reason: `runbook ${workflowInfo().workflowId}` }],
          workflowId: workflowId('distrustAuthority', trustDomain, authorityId),
          parentClosePolicy: 'REQUEST_CANCEL',
        }),
      );
    }
    const after = await onRunbook().compareAuthorities({ trustDomain, tier: tier(name) });
    return after.servers.some(({ now }) => names.includes(now.authorityId)) ? 'needs a person' : 'contained';
  });
}
