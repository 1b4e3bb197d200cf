// The report of a drill: the workflow's result, and a file beside the others.
import { workflowInfo } from '@temporalio/workflow';
import type { DrillReport, DrillRequest } from '../../activities/drills/drill.ts';
import { onTrust } from '../lib/calls.ts';

export interface KeptDrillReport extends DrillReport {
  /** Where the worker wrote it. */
  readonly file: string;
}

export interface DrillEnd extends Pick<
  DrillReport,
  'verdict' | 'reasons' | 'steps' | 'rounds' | 'notes' | 'startedAt'
> {
  readonly request: DrillRequest;
}

export async function createDrillReport({ request, startedAt, ...end }: DrillEnd): Promise<KeptDrillReport> {
  const { drill, plan, subject, requester, reason } = request;
  const { trustDomain } = plan.spec;
  const endedAt = new Date().toISOString();
  const report: DrillReport = { drill, trustDomain, subject, requester, reason, startedAt, endedAt, ...end };
  const name = `drill ${drill} ${trustDomain} ${startedAt} ${workflowInfo().runId}`;
  return { ...report, file: await onTrust().writeReport({ name, report }) };
}
