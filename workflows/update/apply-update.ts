// Takes the steps of an update under the trust domain's lock: looks once more, asks where something is taken away, widens as a saga, and then only goes
// forward: what is taken away has been replaced by then, and a run that ends in the middle is gone on with by the next.
import { ApplicationFailure } from '@temporalio/workflow';
import type { UpdateRequest } from '../../activities/update/update.ts';
import { runChild } from '../grow-trust-domain.ts';
import { onTrustOnce } from '../lib/calls.ts';
import { listenToOperator } from '../lib/operator.ts';
import { changeAhead } from '../lib/progress.ts';
import type { ChangeProgress, ProgressKeeper } from '../lib/progress.ts';
import { saga } from '../lib/saga.ts';
import { verifyTrustDomain } from '../verify-trust-domain.ts';
import { lookAtDomain } from './look-at-domain.ts';
import { narrow } from './narrow.ts';
import { updateDigest, updateReport } from './report.ts';
import type { KeptUpdateReport } from './report.ts';
import { widen } from './widen.ts';

export const updatePhases = ['look', 'widen', 'validation', 'narrow'] as const;

export async function applyUpdate(
  request: UpdateRequest,
  startedAt: string,
  owner: string,
  progress: ProgressKeeper,
): Promise<KeptUpdateReport> {
  const { plan, policy, requester } = request;
  const { trustDomain } = plan.spec;
  let change = changeAhead({ operation: 'updateTrustDomain', tier: '' });
  const tell = (news: Partial<ChangeProgress>): void => {
    change = { ...change, ...news };
    progress.changed(change);
  };
  const operator = listenToOperator({
    planDigest: () => change.planDigest,
    verify: (approval) => onTrustOnce().verifyApproval({ trustDomain, approval, policy, requester }),
    gates: ['action'],
    note: (text) => tell({ notes: [...change.notes, text] }),
    changed: () => tell({ paused: operator.isPaused() }),
  });

  const comparison = await progress.phase('look', () => lookAtDomain(plan));
  const { refusals, steps, narrows } = comparison;
  if (refusals.length > 0) {
    throw ApplicationFailure.create({
      type: 'Blocked',
      nonRetryable: true,
      message: `nothing was changed: ${refusals.join('; ')}`,
      details: [refusals],
    });
  }
  tell({ planDigest: await updateDigest(request, comparison), notes: steps });
  if (narrows && policy.approvals !== 'none') {
    tell({ waitingFor: 'approval of the update' });
    await operator.approved('action');
    tell({ waitingFor: undefined });
  }
  await saga(async (undo) => {
    await progress.phase('widen', () => widen({ plan, comparison, owner, operator, undo }));
    // What is there from now on is proven before anything is taken away.
    await progress.phase('validation', () =>
      runChild(plan, verifyTrustDomain, 'verifyTrustDomain', { spec: plan.spec }),
    );
    await operator.safePoint();
  }, progress.undoing);
  operator.passPointOfNoReturn();
  tell({ pointOfNoReturn: 'passed' });
  const proofs = await progress.phase('narrow', () => narrow(plan, comparison, operator));
  return updateReport({ request, comparison, outcome: 'updated', startedAt, approvals: operator.approvals(), proofs });
}
