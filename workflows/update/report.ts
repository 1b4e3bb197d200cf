// How an update ended, as its result and as a file; a rehearsal, and one that had nothing to do, leave no file.
import { workflowInfo } from '@temporalio/workflow';
import type { Comparison, NarrowingProof, UpdateReport, UpdateRequest } from '../../activities/update/update.ts';
import type { GivenApproval } from '../../activities/trust/rotation.ts';
import { onRunbook, onTrust } from '../lib/calls.ts';

export interface KeptUpdateReport extends UpdateReport {
  /** Where the worker wrote it; empty where nothing was changed. */
  readonly file: string;
}

export interface UpdateEnd {
  readonly request: UpdateRequest;
  readonly comparison: Comparison;
  readonly outcome: UpdateReport['outcome'];
  readonly startedAt: string;
  readonly approvals?: readonly GivenApproval[];
  readonly proofs?: readonly NarrowingProof[];
}

export async function updateReport(end: UpdateEnd): Promise<KeptUpdateReport> {
  const { request, comparison, outcome, startedAt, approvals = [], proofs = [] } = end;
  const { trustDomain } = request.plan.spec;
  const report: UpdateReport = {
    operation: 'updateTrustDomain',
    trustDomain,
    requester: request.requester,
    reason: request.reason,
    outcome,
    planDigest: await updateDigest(request, comparison),
    specDigest: request.specDigest,
    steps: comparison.steps,
    refusals: comparison.refusals,
    left: comparison.left,
    approvals,
    proofs,
    startedAt,
    endedAt: new Date().toISOString(),
  };
  if (outcome !== 'updated') return { ...report, file: '' };
  const name = `updateTrustDomain ${trustDomain} ${startedAt} ${workflowInfo().runId}`;
  return { ...report, file: await onTrust().writeReport({ name, report }) };
}

/** Of the very steps that are about to be taken. */
export function updateDigest({ plan, policy }: UpdateRequest, { steps }: Comparison): Promise<string> {
  const { trustDomain } = plan.spec;
  const action = JSON.stringify({ steps, policy });
  return onRunbook().digestAction({ runbook: 'updateTrustDomain', trustDomain, subject: '', action });
}
