// Google's errors to our failures: by HTTP status, which REST and the compute client both carry.
import type { ErrorTable } from './translated.ts';

/** The compute client speaks REST and yet reports gRPC's codes. */
const grpcToHttp: Readonly<Record<number, number>> = { 3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 16: 401 };

/** The HTTP status of a refusal, as text; empty where nothing answered. */
export function httpStatus(cause: unknown): string {
  if (!(cause instanceof Error)) return '';
  const { status, code } = cause as Error & { status?: unknown; code?: unknown };
  const found = [status, code].find((value) => typeof value === 'number');
  if (typeof found !== 'number') return '';
  return String(grpcToHttp[found] ?? found);
}

export const gcpErrors: ErrorTable = {
  cloud: 'gcp',
  codeOf: httpStatus,
  types: {
    '400': 'InvalidRequest',
    '401': 'PermissionDenied',
    '403': 'PermissionDenied',
    '409': 'Conflict',
    '429': 'QuotaExceeded',
  },
};

/** `undefined` where the thing does not exist. */
export async function unlessAbsent<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (cause) {
    if (httpStatus(cause) === '404') return undefined;
    throw cause;
  }
}

/** Content when the thing exists already. */
export async function unlessPresent(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    if (httpStatus(cause) !== '409') throw cause;
  }
}
