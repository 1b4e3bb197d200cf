// What a workflow failed with, beneath the failures of the children and activities that passed it on.
import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';
import { expect } from 'vitest';

/** Fails the test where the run ends well, or with another kind of failure. */
export async function failureOf(run: Promise<unknown>): Promise<ApplicationFailure> {
  const error: unknown = await run.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  let current = (error as WorkflowFailedError).cause;
  while (current instanceof ChildWorkflowFailure || current instanceof ActivityFailure) current = current.cause;
  expect(current).toBeInstanceOf(ApplicationFailure);
  return current as ApplicationFailure;
}
