// Has the mending outlive the drill: registered with Temporal before anything is broken, it is done by another workflow where this one is terminated.
import { startChild, workflowInfo } from '@temporalio/workflow';
import type { MendAfterDrillInput } from '../mend-after-drill.ts';
import { workflowId } from '../lib/workflow-ids.ts';
import type { Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export async function guardMending({ request }: DrillStage, round: Round, index: number): Promise<void> {
  const { workflowId: id, runId } = workflowInfo();
  const input: MendAfterDrillInput = {
    drill: { workflowId: id, runId },
    mendings: round.faults.toReversed().map(({ mending }) => mending()),
    ...(round.afterMending === undefined ? {} : { lockedOut: request.plan }),
  };
  await startChild('mendAfterDrill', {
    args: [input],
    workflowId: workflowId('mendAfterDrill', request.plan.spec.trustDomain, runId, String(index)),
    parentClosePolicy: 'ABANDON',
    cancellationType: 'ABANDON',
  });
}
