// Turns one method of a grpc-js client into an async function or an async iterable. The only place where a status becomes an RpcError.
import { Metadata } from '@grpc/grpc-js';
import type {
  Client,
  ClientDuplexStream,
  ClientReadableStream,
  ClientWritableStream,
  ServiceError,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import { untilAborted } from './abortable.ts';
import { detailsTrailer, parseErrorDetails } from './error-details.ts';
import type { CallOptions, MethodDefinition } from './service.ts';
import { cancelled, RpcError, unknown } from './status.ts';

/** Of a call with one answer, where nothing is said. */
const defaultDeadlineMs = 30_000;

type Deadline = { readonly deadline?: number };
type ReadableCall = ClientReadableStream<unknown>;
type WritableCall = ClientWritableStream<unknown>;
type DuplexCall = ClientDuplexStream<unknown, unknown>;

/** What a caller calls for one method; its shape follows from the method's. Streams begin when they are first read. */
export function adaptMethod(client: Client, method: MethodDefinition): unknown {
  const { path, requestStream, responseStream } = method;
  const serialize = method.requestSerialize as (value: unknown) => Buffer;
  const parse = method.responseDeserialize;

  const unary = (request: unknown, options: CallOptions = {}) =>
    answerOf(options, (settings, done) =>
      client.makeUnaryRequest(path, serialize, parse, request, metadataOf(options), settings, done),
    );

  const clientStream = (requests: AsyncIterable<unknown>, options: CallOptions = {}) =>
    answerOf(options, (settings, done) => {
      const ended = new AbortController();
      const call = client.makeClientStreamRequest(
        path,
        serialize,
        parse,
        metadataOf(options),
        settings,
        (error, answer) => {
          ended.abort();
          done(error, answer);
        },
      );
      void writeRequests(call, requests, ended.signal);
      return call;
    });

  const serverStream = (request: unknown, options: CallOptions = {}) =>
    answersOf(options, (settings) =>
      client.makeServerStreamRequest(path, serialize, parse, request, metadataOf(options), settings),
    );

  const bidirectional = (requests: AsyncIterable<unknown>, options: CallOptions = {}) =>
    answersOf(options, (settings, ended) => {
      const call = client.makeBidiStreamRequest(path, serialize, parse, metadataOf(options), settings);
      void writeRequests(call, requests, ended);
      return call;
    });

  if (requestStream) return responseStream ? bidirectional : clientStream;
  return responseStream ? serverStream : unary;
}

type Done = (error: ServiceError | null, answer?: unknown) => void;
type Begin = (settings: Deadline, done: Done) => { cancel(): void };

function answerOf({ deadlineMs, signal }: CallOptions, begin: Begin): Promise<unknown> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) throw cancelled('the call was cancelled before it began', { cause: signal.reason });
    const stop = () => call.cancel();
    const call = begin({ deadline: Date.now() + (deadlineMs ?? defaultDeadlineMs) }, (error, answer) => {
      signal?.removeEventListener('abort', stop);
      if (error === null) resolve(answer);
      else reject(rpcErrorOf(error));
    });
    signal?.addEventListener('abort', stop, { once: true });
  });
}

type BeginStream = (settings: Deadline, ended: AbortSignal) => ReadableCall | DuplexCall;

async function* answersOf(
  { deadlineMs, signal }: CallOptions,
  begin: BeginStream,
): AsyncGenerator<unknown, void, undefined> {
  if (signal?.aborted === true) throw cancelled('the call was cancelled before it began', { cause: signal.reason });
  const ended = new AbortController();
  const call = begin(deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }, ended.signal);
  const stop = () => call.cancel();
  // The loop below hears errors only while it runs; the status of a cancelled call may come after it.
  call.on('error', () => undefined);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const answer of call) yield answer;
  } catch (error) {
    throw rpcErrorOf(error);
  } finally {
    signal?.removeEventListener('abort', stop);
    ended.abort();
    call.cancel();
  }
}

/** Sends until the source or the call ends. A source that fails cancels the call. */
async function writeRequests(
  call: WritableCall | DuplexCall,
  requests: AsyncIterable<unknown>,
  ended: AbortSignal,
): Promise<void> {
  try {
    for await (const request of untilAborted(requests, ended)) {
      if (!call.write(request)) await once(call, 'drain', { signal: ended });
    }
    call.end();
  } catch {
    call.cancel(); // the caller learns of it by the call's status; after the call's own end this does nothing
  }
}

function metadataOf({ metadata }: CallOptions): Metadata {
  if (metadata instanceof Metadata) return metadata;
  const built = new Metadata();
  for (const [key, value] of Object.entries(metadata ?? {})) built.set(key, value);
  return built;
}

function rpcErrorOf(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  if (!isServiceError(error)) return unknown('the call failed', { cause: error });
  const { code, details, metadata } = error;
  const trailers = metadata.clone();
  trailers.remove(detailsTrailer);
  return new RpcError(code, details, { details: parseErrorDetails(metadata), metadata: trailers, cause: error });
}

function isServiceError(error: unknown): error is ServiceError {
  return (
    error instanceof Error &&
    'code' in error &&
    'details' in error &&
    'metadata' in error &&
    error.metadata instanceof Metadata
  );
}
