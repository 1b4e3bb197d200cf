// What the four workflows that people start have in common: the request is checked, rehearsed or carried out under the trust domain's lock.
import { getExternalWorkflowHandle, sleep, workflowInfo } from '@temporalio/workflow';
import type { DryRunReport, RotationOperation, RotationRequest } from '../../activities/trust/rotation.ts';
import type { Topology } from '../../activities/trust/topology.ts';
import { onTrustOnce } from '../lib/calls.ts';
import { changeTrust, isLocked } from '../lib/change-trust.ts';
import { standAsideSignal } from '../lib/operator.ts';
import { nameTrustDomain, showProgressBelow } from '../lib/progress.ts';
import { required } from '../lib/required.ts';
import { findTopology } from '../lib/topology.ts';
import { workflowId } from '../lib/workflow-ids.ts';
import { rehearseRotation } from './dry-run.ts';
import type { KeptReport } from './rotate.ts';

export async function startRotation(
  operation: RotationOperation,
  request: unknown,
): Promise<KeptReport | DryRunReport> {
  const progress = showProgressBelow('check');
  const { plan, topology: given, ...asked } = await onTrustOnce().checkRotation({ operation, request });
  progress.named(asked.trustDomain);
  nameTrustDomain(asked.trustDomain);
  const topology = given ?? (await findTopology(required(plan, 'there is neither a plan nor a topology')));
  if (asked.dryRun) return rehearseRotation(asked, topology);
  return operation === 'distrustAuthority' ? takeOver(asked, topology) : change(asked, topology);
}

function change(request: RotationRequest, topology: Topology): Promise<KeptReport> {
  return changeTrust<KeptReport>({ change: 'rotate', request, topology });
}

/** An emergency asks whoever holds the lock to stop at its next safe point, as often as it takes. */
async function takeOver(request: RotationRequest, topology: Topology): Promise<KeptReport> {
  for (;;) {
    try {
      return await change(request, topology);
    } catch (cause) {
      if (!isLocked(cause)) throw cause;
      const holder = getExternalWorkflowHandle(workflowId('trustChange', request.trustDomain));
      // It may have ended by now: then the next try finds the lock free.
      await holder.signal(standAsideSignal, `${workflowInfo().workflowId}: ${request.reason}`).catch(() => undefined);
      await sleep('1 second');
    }
  }
}
