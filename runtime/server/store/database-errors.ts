// PostgreSQL's and the socket's error codes, in the store's words.
import { StoreError } from './errors.ts';
import type { StoreErrorCode } from './errors.ts';

/** SQLSTATE → ours. Messages of the database may quote values, so they travel as the cause only. */
const codes: Readonly<Record<string, readonly [StoreErrorCode, string]>> = {
  '23505': ['CONFLICT', 'a record with this key exists'],
  '22021': ['INVALID', 'text holds bytes that cannot be stored'],
  '22P05': ['INVALID', 'text holds bytes that cannot be stored'],
  // An index takes no value of more than a third of a page.
  '54000': ['INVALID', 'text is too long to be stored'],
  '22003': ['INVALID', 'number is out of range'],
};

const deadlock = '40P01';
const serializationFailure = '40001';

/** The connection is not usable any more, or there was none: class 08, the database shutting down or starting, too many connections, the socket. */
export function isConnectionFailure(error: unknown): boolean {
  const code = codeOf(error);
  if (code === undefined) return error instanceof Error && /connection|timeout|not queryable/i.test(error.message);
  return code.startsWith('08') || code.startsWith('57P0') || code === '53300' || /^E[A-Z]+$/.test(code);
}

export function isRolledBack(error: unknown): boolean {
  const code = codeOf(error instanceof StoreError ? error.cause : error);
  return code === deadlock || code === serializationFailure;
}

export function translateError(error: unknown): Error {
  // Anything without a database's code is not the database's: ours, or a bug that must keep its stack.
  if (error instanceof StoreError || !(error instanceof Error)) return error as Error;
  if (isConnectionFailure(error)) return new StoreError('UNAVAILABLE', 'database connection failed', { cause: error });
  const code = codeOf(error);
  if (code === undefined) return error;
  const known = codes[code];
  if (known === undefined) return new StoreError('INTERNAL', `database refused with ${code}`, { cause: error });
  return new StoreError(known[0], known[1], { cause: error });
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
