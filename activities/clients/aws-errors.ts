// AWS's errors to our failures.
import type { ErrorTable } from './translated.ts';

/** The code AWS gave an error, such as `InvalidGroup.NotFound`. */
export function errorName(cause: unknown): string {
  return cause instanceof Error ? cause.name : '';
}

export const awsErrors: ErrorTable = {
  cloud: 'aws',
  codeOf: errorName,
  types: {
    UnauthorizedOperation: 'PermissionDenied',
    AccessDenied: 'PermissionDenied',
    AccessDeniedException: 'PermissionDenied',
    AuthFailure: 'PermissionDenied',
    InvalidClientTokenId: 'PermissionDenied',
    SignatureDoesNotMatch: 'PermissionDenied',
    RequestLimitExceeded: 'QuotaExceeded',
    Throttling: 'QuotaExceeded',
    ThrottlingException: 'QuotaExceeded',
    InstanceLimitExceeded: 'QuotaExceeded',
    InsufficientInstanceCapacity: 'QuotaExceeded',
    IdempotentParameterMismatch: 'Conflict',
    InvalidParameterValue: 'InvalidRequest',
    InvalidParameterCombination: 'InvalidRequest',
    'InvalidAMIID.Malformed': 'InvalidRequest',
    'InvalidAMIID.NotFound': 'InvalidRequest',
    ValidationError: 'InvalidRequest',
  },
};
