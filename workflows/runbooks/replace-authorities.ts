// A runbook that finds a tier's authorities wanting has them replaced by an ordinary rotation, under the lock of the trust domain.
import { executeChild, workflowInfo } from '@temporalio/workflow';
import { workflowId } from '../lib/workflow-ids.ts';
import type { Runbook } from './runbook.ts';

/** Resolves when the rotation has ended; throws what it failed with. */
export function replaceAuthorities({ request, topology }: Runbook, tier: string): Promise<unknown> {
  const { trustDomain, requester } = request;
  const { runId, workflowId: runbook } = workflowInfo();
  return executeChild('rotateX509Authority', {
    args: [{ topology, tier, requester, reason: `runbook ${runbook}` }],
    workflowId: workflowId('rotateX509Authority', trustDomain, 'runbook', runId),
    parentClosePolicy: 'REQUEST_CANCEL',
  });
}
