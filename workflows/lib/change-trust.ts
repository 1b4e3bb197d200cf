// Makes a change of trust under the trust domain's lock; refused while another change runs.
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { executeChild } from '@temporalio/workflow';
import type { TrustChangeInput } from '../trust-change.ts';
import { workflowId } from './workflow-ids.ts';

export async function changeTrust<Result>(input: TrustChangeInput): Promise<Result> {
  const id = workflowId('trustChange', trustDomainOf(input));
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
      cause,
    });
  }
}

export function isLocked(cause: unknown): cause is ApplicationFailure {
  return cause instanceof ApplicationFailure && cause.cause instanceof WorkflowExecutionAlreadyStartedError;
}

function trustDomainOf(input: TrustChangeInput): string {
  if (input.change === 'rotate') return input.request.trustDomain;
  const { plan } = input.change === 'update' || input.change === 'drill' ? input.request : input;
  return plan.spec.trustDomain;
}
