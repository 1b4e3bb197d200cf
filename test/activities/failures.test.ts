// The failures that activities throw: their types are wire format, and whether a retry can help hangs on the type alone.
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { failure } from '../../activities/failures.ts';
import type { FailureType } from '../../activities/failures.ts';

const retryable: Readonly<Record<FailureType, boolean>> = {
  InvalidRequest: false,
  Conflict: false,
  PermissionDenied: false,
  AttestationRejected: false,
  TrustViolation: false,
  Unsupported: false,
  QuotaExceeded: true,
  NotReady: true,
  Unavailable: true,
  RollbackIncomplete: false,
};

describe('failure', () => {
  it.each(Object.entries(retryable))('of type %s may be retried: %s', (type, mayBeRetried) => {
    const thrown = failure(type as FailureType, 'network espalier exists');
    expect(thrown).toBeInstanceOf(ApplicationFailure);
    expect(thrown.type).toBe(type);
    expect(thrown.nonRetryable).toBe(!mayBeRetried);
    expect(thrown.message).toBe('network espalier exists');
  });

  it('keeps its cause and its details', () => {
    const cause = new Error('connection refused');
    const thrown = failure('Unavailable', 'server 127.0.0.1', { cause, details: [{ attempt: 3 }] });
    expect(thrown.cause).toBe(cause);
    expect(thrown.details).toEqual([{ attempt: 3 }]);
  });

  it('keeps no cause that is not an error: it could hold anything', () => {
    expect(failure('Unavailable', 'server 127.0.0.1', { cause: { password: 'x' } }).cause).toBeUndefined();
  });
});
