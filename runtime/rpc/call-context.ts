// What a handler knows about a call besides its request. One object for the whole call: an interceptor may key what it finds out by it.
import type { Metadata } from '@grpc/grpc-js';
import type { Connection } from './connection.ts';

export interface CallContext {
  readonly connection: Connection;
  readonly metadata: Metadata;
  /** Aborted when the caller has gone, gave up, or the deadline has passed. */
  readonly signal: AbortSignal;
  /** When the caller gives up, by `performance.now()`; absent where it waits without end. */
  readonly deadline?: number | undefined;
  /** `/package.Service/Method` as our table has it: never the path that the caller wrote. */
  readonly method: string;
}

/** Runs before the handler; an RpcError thrown here is the answer. The request is there where it is one message. */
export type Intercept = (context: CallContext, request: unknown) => Promise<void>;

/** What the rpc layer says about itself; a pino logger fits. */
export interface RpcLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A call that has its status. */
export interface EndedCall {
  /** Absent where the caller had gone before the call was looked at. */
  readonly context: CallContext | undefined;
  /** Of a stream, the first one that came. */
  readonly request: unknown;
  /** Of a stream, the last one that was sent. */
  readonly response: unknown;
  readonly code: number;
  /** What the caller was told; empty where all is well. */
  readonly message: string;
  /** By `performance.now()`. */
  readonly startedAt: number;
}

/** Told of each call of one method. What it throws is logged and changes nothing. */
export interface CallObserver {
  began?(): void;
  ended(call: EndedCall): void;
}
