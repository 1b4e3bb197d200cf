// A refusal of the GCP side, in the words of Google's JSON APIs.
import type { LabResponse } from '../http.ts';
import { json } from '../http.ts';

/** Canonical status names and the HTTP status that each travels with. */
const statuses = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  RESOURCE_EXHAUSTED: 429,
  UNIMPLEMENTED: 501,
} as const;

/** Compute Engine's own words for the same. */
const reasons: Partial<Record<keyof typeof statuses, string>> = {
  INVALID_ARGUMENT: 'invalid',
  PERMISSION_DENIED: 'forbidden',
  NOT_FOUND: 'notFound',
  ALREADY_EXISTS: 'alreadyExists',
  ABORTED: 'conditionNotMet',
};

export class GcpError extends Error {
  readonly status: keyof typeof statuses;

  constructor(status: keyof typeof statuses, message: string) {
    super(message);
    this.name = 'GcpError';
    this.status = status;
  }

  toResponse(): LabResponse {
    const code = statuses[this.status];
    const errors = [{ message: this.message, domain: 'global', reason: reasons[this.status] ?? 'backendError' }];
    return json(code, { error: { code, message: this.message, status: this.status, errors } });
  }
}
