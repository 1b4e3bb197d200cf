// The one error that crosses a gRPC boundary, and short constructors for it. How details are written on the wire is error-details.ts.
import { status } from '@grpc/grpc-js';
import type { Metadata } from '@grpc/grpc-js';

/** A message that travels inside google.rpc.Status: its full protobuf name and its bytes. */
export interface ErrorDetail {
  readonly type: string;
  readonly value: Uint8Array;
}

export interface RpcErrorOptions {
  readonly details?: readonly ErrorDetail[];
  readonly metadata?: Metadata;
  readonly cause?: unknown;
}

/** A gRPC status other than OK. The peer sees code, message, details and metadata, never the cause. */
export class RpcError extends Error {
  readonly code: status;
  readonly details: readonly ErrorDetail[];
  readonly metadata: Metadata | undefined;

  constructor(code: status, message: string, options: RpcErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'RpcError';
    this.code = code;
    this.details = options.details ?? [];
    this.metadata = options.metadata;
  }
}

type Constructor = (message: string, options?: RpcErrorOptions) => RpcError;

function constructorOf(code: status): Constructor {
  return (message, options) => new RpcError(code, message, options);
}

export const aborted = constructorOf(status.ABORTED);
export const alreadyExists = constructorOf(status.ALREADY_EXISTS);
export const cancelled = constructorOf(status.CANCELLED);
export const deadlineExceeded = constructorOf(status.DEADLINE_EXCEEDED);
export const failedPrecondition = constructorOf(status.FAILED_PRECONDITION);
export const internal = constructorOf(status.INTERNAL);
export const invalidArgument = constructorOf(status.INVALID_ARGUMENT);
export const notFound = constructorOf(status.NOT_FOUND);
export const permissionDenied = constructorOf(status.PERMISSION_DENIED);
export const resourceExhausted = constructorOf(status.RESOURCE_EXHAUSTED);
export const unauthenticated = constructorOf(status.UNAUTHENTICATED);
export const unavailable = constructorOf(status.UNAVAILABLE);
export const unimplemented = constructorOf(status.UNIMPLEMENTED);
export const unknown = constructorOf(status.UNKNOWN);

export { status as statusCode };

/** `PERMISSION_DENIED` for 7; the number itself where gRPC has no such code. */
export function statusName(code: number): string {
  return status[code] ?? String(code);
}

/** The text that SPIRE's commands print for a refusal: `rpc error: code = PermissionDenied desc = …`. */
export function rpcErrorText(error: RpcError): string {
  return `rpc error: code = ${goStatusName(error.code)} desc = ${error.message}`;
}

/** The name of a code as Go prints it: `AlreadyExists`. */
export function goStatusName(code: number): string {
  const name = statusName(code);
  if (name === 'OK') return name;
  if (name === 'CANCELLED') return 'Canceled';
  const words = name.split('_');
  return words.map((word) => word.charAt(0) + word.slice(1).toLowerCase()).join('');
}
