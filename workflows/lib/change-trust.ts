// Makes a change of trust under the trust domain's lock; refused while another change runs.
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild } from '@temporalio/workflow';
import type { TrustChangeInput } from '../trust-change.ts';
import { workflowId } from './workflow-ids.ts';

export async function changeTrust<Result>(input: TrustChangeInput): Promise<Result> {
  const id = workflowId('trustChange', input.plan.spec.trustDomain);
  try {
    return (await executeChild('trustChange', {
      args: [input],
      workflowId: id,
      cancellationType: 'WAIT_CANCELLATION_COMPLETED',
      parentClosePolicy: 'REQUEST_CANCEL',
    })) as Result;
  } catch (cause) {
    if (!(cause instanceof WorkflowExecutionAlreadyStartedError)) throw cause;
    throw ApplicationFailure.create({
      type: 'Conflict',
      nonRetryable: true,
      message: `another change of trust is running: workflow ${id}`,
    });
  }
}
