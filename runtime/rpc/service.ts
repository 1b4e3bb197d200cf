// How a generated service definition turns into the handlers that a server implements and the client that a caller holds. Types only.
import type { Metadata } from '@grpc/grpc-js';
import type { CallContext } from './call-context.ts';

/** One method as ts-proto writes it. */
export interface MethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: never) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>;

type RequestOf<M extends MethodDefinition> = ReturnType<M['requestDeserialize']>;
type ResponseOf<M extends MethodDefinition> = ReturnType<M['responseDeserialize']>;
type Shape<M extends MethodDefinition> = `${M['requestStream']}-${M['responseStream']}`;

/** What a server does for one method: it answers, or throws an RpcError. */
export type Handler<M extends MethodDefinition> = {
  'false-false': (request: RequestOf<M>, context: CallContext) => Promise<ResponseOf<M>>;
  'false-true': (request: RequestOf<M>, context: CallContext) => AsyncIterable<ResponseOf<M>>;
  'true-false': (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => Promise<ResponseOf<M>>;
  'true-true': (requests: AsyncIterable<RequestOf<M>>, context: CallContext) => AsyncIterable<ResponseOf<M>>;
}[Shape<M>];

/** The methods that a server offers; one left out answers UNIMPLEMENTED. */
export type Handlers<D extends ServiceDefinition> = { readonly [K in keyof D]?: Handler<D[K]> };

export interface CallOptions {
  /** From now. Unary calls have 30 s where nothing is said; streams have no deadline. */
  readonly deadlineMs?: number;
  readonly metadata?: Metadata | Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What a caller does with one method. A stream that is left early is cancelled. */
export type ClientMethod<M extends MethodDefinition> = {
  'false-false': (request: RequestOf<M>, options?: CallOptions) => Promise<ResponseOf<M>>;
  'false-true': (request: RequestOf<M>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>;
  'true-false': (requests: AsyncIterable<RequestOf<M>>, options?: CallOptions) => Promise<ResponseOf<M>>;
  'true-true': (requests: AsyncIterable<RequestOf<M>>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>;
}[Shape<M>];

export type Client<D extends ServiceDefinition> = { readonly [K in keyof D]: ClientMethod<D[K]> };
