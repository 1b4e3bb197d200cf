// What Kubernetes' API server refuses, with its status and words, and what that means to activities.
import type { ApplicationFailure } from '@temporalio/common';
import { failure } from '../../failures.ts';
import type { FailureType } from '../../failures.ts';

/** `status` is 0 where there was no answer. The request, whose headers hold credentials, is no part of it. */
export class KubernetesError extends Error {
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KubernetesError';
    this.status = status;
  }
}

/** What is not in the table is worth a retry. */
const types: Readonly<Record<number, FailureType>> = {
  400: 'InvalidRequest',
  401: 'PermissionDenied',
  403: 'PermissionDenied',
  // Another manager of the same fields, or somebody was faster.
  409: 'Conflict',
  // A field that is broken, or that was to be changed and may not be.
  422: 'InvalidRequest',
  429: 'QuotaExceeded',
};

export function kubernetesFailure(what: string, cause: unknown): ApplicationFailure {
  const status = cause instanceof KubernetesError ? cause.status : 0;
  return failure(types[status] ?? 'Unavailable', `kubernetes ${what}: ${causesOf(cause).join(': ')}`);
}

/** The statement of an answer that is no success: a `Status` object, or the words of what stands between us and the API server. */
export function refusalIn(status: number, body: string): KubernetesError {
  return new KubernetesError(status, `status ${status}: ${messageIn(body) ?? body.slice(0, 200)}`);
}

function messageIn(body: string): string | undefined {
  try {
    const { message } = JSON.parse(body) as { readonly message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined; // no JSON: its own words are shown
  }
}

function causesOf(cause: unknown): string[] {
  return cause instanceof Error ? [cause.message, ...causesOf(cause.cause)] : [];
}
