// The runbook of a drill's failure: begun by the drill itself, or found where the alert receiver has begun it.
import { startChild, workflowInfo } from '@temporalio/workflow';
import type { RunbookReport } from '../../activities/runbooks/runbook.ts';
import { onDrill } from '../lib/calls.ts';
import { rootMessage } from '../lib/failure-message.ts';
import { workflowId } from '../lib/workflow-ids.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export interface RunbookInput {
  readonly stage: DrillStage;
  readonly round: Round;
  /** Of the round. */
  readonly index: number;
}

export interface RunningRunbook {
  readonly workflowId: string;
  readonly startedAt: number;
  /** Its outcome in words; undefined while there is none. */
  readonly outcome: () => Promise<string | undefined>;
}

export async function beginRunbook({ stage, round: { runbook }, index }: RunbookInput): Promise<RunningRunbook> {
  const { topology, request } = stage;
  const { recovery: deadline, lookEvery } = request.policy;
  const { trustDomain } = topology;
  const { name, subject, tier, policy } = runbook;
  const handle = await startChild(name, {
    args: [
      {
        topology,
        subject,
        ...(tier === undefined ? {} : { tier }),
        policy: { deadline, lookEvery, ...policy },
        requester: request.requester,
        reason: `drill ${request.drill}`,
      },
    ],
    workflowId: workflowId(name, trustDomain, 'drill', workflowInfo().runId, String(index)),
    parentClosePolicy: 'REQUEST_CANCEL',
  });
  const startedAt = Date.now();
  let outcome: string | undefined;
  void (handle.result() as Promise<RunbookReport>).then(
    (report) => (outcome = report.outcome),
    (cause: unknown) => (outcome = `failed: ${rootMessage(cause)}`),
  );
  return { workflowId: handle.workflowId, startedAt, outcome: () => Promise.resolve(outcome) };
}

/** The alert receiver starts it, under an id of its own. */
export async function findRunbook(
  { stage, round }: RunbookInput,
  failedAt: number,
): Promise<RunningRunbook | undefined> {
  const { trustDomain } = stage.topology;
  const sought = { trustDomain, runbook: round.runbook.name, since: new Date(failedAt).toISOString() };
  const found = await onDrill().findRunbook(sought);
  if (found === undefined) return undefined;
  const { workflowId: id, startedAt } = found;
  const outcome = async () => (await onDrill().findRunbook(sought))?.outcome;
  return { workflowId: id, startedAt: Date.parse(startedAt), outcome };
}
