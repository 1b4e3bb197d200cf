// What a request that was checked has, and the types cannot say.
import { ApplicationFailure } from '@temporalio/workflow';

/** Throws InvalidRequest with the message where there is nothing. */
export function required<T>(value: T | undefined, message: string): T {
  if (value !== undefined) return value;
  throw ApplicationFailure.create({ type: 'InvalidRequest', nonRetryable: true, message });
}
