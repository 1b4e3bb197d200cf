// The closed set of failures that activities throw. Workflows branch on the type, never on a message.
import { ApplicationFailure } from '@temporalio/common';

/** What went wrong, as a workflow needs to know it; see the table in STYLE.md's habit 5. */
export type FailureType =
  | 'InvalidRequest'
  | 'Conflict'
  | 'PermissionDenied'
  | 'AttestationRejected'
  | 'TrustViolation'
  | 'Unsupported'
  | 'QuotaExceeded'
  | 'NotReady'
  | 'Unavailable'
  | 'RollbackIncomplete';

/** No retry can ever help with these. */
const nonRetryable: ReadonlySet<FailureType> = new Set([
  'InvalidRequest',
  'Conflict',
  'PermissionDenied',
  'AttestationRejected',
  'TrustViolation',
  'Unsupported',
  'RollbackIncomplete',
]);

/** The one constructor of an activity's failure: `cause` is kept, details must hold nothing secret. */
export function failure(
  type: FailureType,
  message: string,
  options: { cause?: unknown; details?: unknown[] } = {},
): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: nonRetryable.has(type),
    ...(options.details === undefined ? {} : { details: options.details }),
    ...(options.cause instanceof Error ? { cause: options.cause } : {}),
  });
}

export function isFailure(cause: unknown, type: FailureType): boolean {
  return cause instanceof ApplicationFailure && cause.type === type;
}

/** What went wrong, in its own words. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
