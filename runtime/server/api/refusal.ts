// How our services word their refusals: what failed, then why, as SPIRE's messages do. Errors of the store and of the CA get their status here.
import type { Status } from '../../../proto/gen/spire/api/types/status.ts';
import { alreadyExists, failedPrecondition, internal, invalidArgument, notFound, RpcError } from '../../rpc/status.ts';
import { resourceExhausted, unavailable } from '../../rpc/status.ts';
import { AuthorityError } from '../ca/authority.ts';
import { StoreError } from '../store/errors.ts';

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs a parser of what the caller sent; what it throws is the caller's fault. */
export function checkArgument<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw invalidArgument(`${what}: ${errorText(cause)}`, { cause });
  }
}

/** Runs an act on the store or the CA; its error becomes a status that says what was tried. */
export async function attempt<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw explain(what, error);
  }
}

function explain(what: string, cause: unknown): RpcError {
  const message = `${what}: ${errorText(cause)}`;
  if (cause instanceof RpcError) return new RpcError(cause.code, message, { details: cause.details, cause });
  if (cause instanceof StoreError) return explainStore(message, cause);
  if (cause instanceof AuthorityError) return explainAuthority(message, cause);
  return internal(message, { cause });
}

function explainStore(message: string, cause: StoreError): RpcError {
  switch (cause.code) {
    case 'INVALID':
    case 'UNKNOWN_FEDERATED_BUNDLE':
      return invalidArgument(message, { cause });
    case 'NOT_FOUND':
      return notFound(message, { cause });
    case 'CONFLICT':
      return alreadyExists(message, { cause });
    case 'LIMIT':
      return resourceExhausted(message, { cause });
    case 'BUNDLE_IN_USE':
    case 'LAST_AUTHORITY':
      return failedPrecondition(message, { cause });
    case 'UNAVAILABLE':
      return unavailable(message, { cause });
    default:
      return internal(message, { cause });
  }
}

function explainAuthority(message: string, cause: AuthorityError): RpcError {
  switch (cause.code) {
    case 'NOT_READY':
    case 'UPSTREAM_UNAVAILABLE':
    case 'REPLICAS_BEHIND':
    case 'REPLICA_UNAVAILABLE':
      return unavailable(message, { cause });
    case 'INVALID':
      return invalidArgument(message, { cause });
    case 'TTL_LATTICE':
    case 'WRONG_STATE':
      return failedPrecondition(message, { cause });
    default:
      return internal(message, { cause });
  }
}

export const okStatus: Status = { code: 0, message: 'OK' };

/** The outcome of one item of a batch: an RpcError is that item's answer, anything else fails the call. */
export async function statusOfItem<T>(act: () => Promise<T>): Promise<{ status: Status; value?: T }> {
  try {
    return { status: okStatus, value: await act() };
  } catch (error) {
    if (error instanceof RpcError) return { status: { code: error.code, message: error.message } };
    throw error;
  }
}
