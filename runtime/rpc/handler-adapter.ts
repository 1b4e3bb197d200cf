// Turns a handler (an async function or generator) into what grpc-js calls. The only place where a thrown error becomes a status.
import type {
  Metadata,
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  StatusObject,
  UntypedHandleCall,
} from '@grpc/grpc-js';
import type { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import { untilAborted } from './abortable.ts';
import type { CallLimit } from './call-limit.ts';
import type { CallContext, CallObserver, EndedCall, Intercept, RpcLog } from './call-context.ts';
import type { Connection } from './connection.ts';
import { encodeErrorTrailers } from './error-details.ts';
import type { MethodDefinition } from './service.ts';
import { cancelled, internal, resourceExhausted, RpcError, statusCode, unavailable } from './status.ts';

const maxMetadataBytes = 16 * 1024;

export interface HandlerSurroundings {
  /** The connection of that name, while it lives. */
  readonly connectionOf: (peer: string) => Connection | undefined;
  readonly intercept: Intercept | undefined;
  readonly log: RpcLog | undefined;
  readonly observers: readonly CallObserver[];
  readonly limit: CallLimit;
  /** Of streams of answers. */
  readonly streamLimit: CallLimit;
}

type UnaryCall = ServerUnaryCall<unknown, unknown>;
type ReadableCall = ServerReadableStream<unknown, unknown>;
type WritableCall = ServerWritableStream<unknown, unknown>;
type DuplexCall = ServerDuplexStream<unknown, unknown>;
type AnyCall = UnaryCall | ReadableCall | WritableCall | DuplexCall;

type Answer = (request: unknown, context: CallContext) => Promise<unknown>;
type Stream = (request: unknown, context: CallContext) => AsyncIterable<unknown>;

/** What grpc-js calls for one method; the handler's shape follows from the method's. */
export function adaptHandler(
  method: MethodDefinition,
  handler: unknown,
  around: HandlerSurroundings,
): UntypedHandleCall {
  const { path, requestStream, responseStream } = method;
  const { limit, streamLimit } = around;
  const isWatch = responseStream && !requestStream;
  const begin = async (call: AnyCall, seen: Seen): Promise<CallContext> => {
    seen.context = createContext(path, call, around);
    await around.intercept?.(seen.context, seen.request);
    return seen.context;
  };
  const fail = (error: unknown, seen: Seen) => {
    const known = statusOf(error, path, around.log);
    // Whoever watches ends it by leaving: for those who count, that is no failure.
    if (!isWatch || known.code !== statusCode.CANCELLED) [seen.code, seen.message] = [known.code, known.message];
    return known;
  };

  async function answer(call: UnaryCall | ReadableCall, send: sendUnaryData<unknown>): Promise<void> {
    const seen = open(call, around);
    const isAdmitted = limit.enter();
    try {
      if (!isAdmitted) throw resourceExhausted(`server is busy with ${limit.most} calls`);
      const context = await begin(call, seen);
      const request = 'request' in call ? call.request : noteFirst(readRequests(call, context.signal), seen);
      seen.response = await (handler as Answer)(request, context);
      send(null, seen.response);
    } catch (error) {
      send(fail(error, seen));
    }
    if (isAdmitted) limit.leave();
    close(seen, around, path);
  }

  async function stream(call: WritableCall | DuplexCall): Promise<void> {
    const seen = open(call, around);
    const isAdmitted = streamLimit.enter();
    try {
      if (!isAdmitted) throw resourceExhausted(`server has ${streamLimit.most} streams open`);
      const context = await begin(call, seen);
      const request = 'request' in call ? call.request : noteFirst(readRequests(call, context.signal), seen);
      await writeResponses(call, (handler as Stream)(request, context), context.signal, seen);
      call.end();
    } catch (error) {
      call.emit('error', fail(error, seen));
    }
    if (isAdmitted) streamLimit.leave();
    close(seen, around, path);
  }

  if (responseStream) return ((call: WritableCall | DuplexCall) => void stream(call)) as UntypedHandleCall;
  if (requestStream)
    return ((call: ReadableCall, send: sendUnaryData<unknown>) => void answer(call, send)) as UntypedHandleCall;
  return ((call: UnaryCall, send: sendUnaryData<unknown>) => void answer(call, send)) as UntypedHandleCall;
}

/** A call as its observers will see it, filled in while it runs. */
type Seen = { -readonly [K in keyof EndedCall]: EndedCall[K] };

function open(call: AnyCall, { observers }: HandlerSurroundings): Seen {
  for (const observer of observers) observer.began?.();
  const request: unknown = 'request' in call ? call.request : undefined;
  const startedAt = performance.now();
  return { context: undefined, request, response: undefined, code: statusCode.OK, message: '', startedAt };
}

function close(seen: Seen, { observers, log }: HandlerSurroundings, method: string): void {
  for (const observer of observers) {
    try {
      observer.ended(seen);
    } catch (error) {
      log?.error({ err: error, method }, 'call was not recorded');
    }
  }
}

/** Fails closed: a call whose connection is not known has no caller, and no caller means no handler. */
function createContext(method: string, call: AnyCall, { connectionOf }: HandlerSurroundings): CallContext {
  const connection = connectionOf(call.getPeer());
  if (connection === undefined) throw unavailable('connection is closed');
  checkMetadata(call.metadata);
  let signal: AbortSignal | undefined;
  return {
    connection,
    metadata: call.metadata,
    method,
    /** Made for the handlers that look at it, which are few: it costs as much as the rest of a small call. */
    get signal() {
      signal ??= signalOf(call);
      return signal;
    },
  };
}

function signalOf(call: AnyCall): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(cancelled('the caller cancelled the call'));
  if (call.cancelled) abort();
  // grpc-js says it at the end of every call, too: to handlers that have answered it means nothing any more.
  else (call as EventEmitter).once('cancelled', abort);
  return controller.signal;
}

/** HTTP/2 lets four times as much through, and there is no place in grpc-js to say less. */
function checkMetadata(metadata: Metadata): void {
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toHttp2Headers()))
    for (const value of Array.isArray(values) ? values : [values]) bytes += name.length + String(value).length;
  if (bytes > maxMetadataBytes)
    throw resourceExhausted(`metadata has ${bytes} bytes, at most ${maxMetadataBytes} are taken`);
}

/** The requests of a stream. grpc-js does not end the stream of a cancelled call, so the signal has to. */
function readRequests(call: ReadableCall | DuplexCall, signal: AbortSignal): AsyncIterable<unknown> {
  // Not destroyed when the handler stops reading: a duplex call has still to send its answer and its status.
  return untilAborted({ [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) }, signal);
}

/** Not a generator: what the handler asks of the iterator reaches the stream at once. */
function noteFirst(requests: AsyncIterable<unknown>, seen: Seen): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = requests[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await iterator.next();
          if (result.done !== true) seen.request ??= result.value;
          return result;
        },
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

/**
 * The next answer is asked for when the last one has left: grpc-js would take sixteen ahead. Whoever reads slowly holds one answer here, and gets
 * what is newest when it reads on; and a handler that goes on after an answer knows that it was written.
 */
async function writeResponses(
  call: Writable,
  responses: AsyncIterable<unknown>,
  signal: AbortSignal,
  seen: Seen,
): Promise<void> {
  for await (const response of untilAborted(responses, signal)) {
    seen.response = response;
    await write(call, response, signal);
  }
}

function write(call: Writable, response: unknown, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    call.write(response, (error) => {
      signal.removeEventListener('abort', onAbort);
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

type Failure = Partial<StatusObject> & Error & Pick<StatusObject, 'code'>;

function statusOf(error: unknown, method: string, log: RpcLog | undefined): Failure {
  const known = error instanceof RpcError ? error : translate(error, method, log);
  // Half a surrogate pair, such as a request may hold and a message quote, would make grpc-js throw when it encodes the trailer.
  const message = known.message.replaceAll(/\p{Surrogate}/gu, '\uFFFD');
  return Object.assign(new Error(message), {
    code: known.code,
    details: message,
    metadata: encodeErrorTrailers(known),
  });
}

/** What nobody foresaw is logged here and told to nobody: its text may hold anything. */
function translate(error: unknown, method: string, log: RpcLog | undefined): RpcError {
  if (error instanceof Error && error.name === 'AbortError')
    return cancelled('the call was cancelled', { cause: error });
  log?.error({ err: error, method }, 'handler failed');
  return internal('internal error', { cause: error });
}
