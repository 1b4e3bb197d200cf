// Turns a handler (an async function or generator) into what grpc-js calls. The only place where a thrown error becomes a status.
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  StatusObject,
  UntypedHandleCall,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import type { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import { untilAborted } from './abortable.ts';
import type { CallContext, Intercept, RpcLog } from './call-context.ts';
import type { Connection } from './connection.ts';
import { encodeErrorTrailers } from './error-details.ts';
import type { MethodDefinition } from './service.ts';
import { cancelled, internal, RpcError, unavailable } from './status.ts';

export interface HandlerSurroundings {
  /** The connection of that name, while it lives. */
  readonly connectionOf: (peer: string) => Connection | undefined;
  readonly intercept: Intercept | undefined;
  readonly log: RpcLog | undefined;
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
  const begin = async (call: AnyCall, request: unknown): Promise<CallContext> => {
    const context = createContext(path, call, around);
    await around.intercept?.(context, request);
    return context;
  };
  const fail = (error: unknown) => statusOf(error, path, around.log);

  async function answer(call: UnaryCall | ReadableCall, send: sendUnaryData<unknown>): Promise<void> {
    try {
      const context = await begin(call, 'request' in call ? call.request : undefined);
      const request = 'request' in call ? call.request : readRequests(call, context.signal);
      send(null, await (handler as Answer)(request, context));
    } catch (error) {
      send(fail(error));
    }
  }

  async function stream(call: WritableCall | DuplexCall): Promise<void> {
    try {
      const context = await begin(call, 'request' in call ? call.request : undefined);
      const request = 'request' in call ? call.request : readRequests(call, context.signal);
      await writeResponses(call, (handler as Stream)(request, context), context.signal);
      call.end();
    } catch (error) {
      call.emit('error', fail(error));
    }
  }

  if (responseStream) return ((call: WritableCall | DuplexCall) => void stream(call)) as UntypedHandleCall;
  if (requestStream)
    return ((call: ReadableCall, send: sendUnaryData<unknown>) => void answer(call, send)) as UntypedHandleCall;
  return ((call: UnaryCall, send: sendUnaryData<unknown>) => void answer(call, send)) as UntypedHandleCall;
}

/** Fails closed: a call whose connection is not known has no caller, and no caller means no handler. */
function createContext(method: string, call: AnyCall, { connectionOf }: HandlerSurroundings): CallContext {
  const connection = connectionOf(call.getPeer());
  if (connection === undefined) throw unavailable('connection is closed');
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

/** The requests of a stream. grpc-js does not end the stream of a cancelled call, so the signal has to. */
function readRequests(call: ReadableCall | DuplexCall, signal: AbortSignal): AsyncIterable<unknown> {
  // Not destroyed when the handler stops reading: a duplex call has still to send its answer and its status.
  return untilAborted({ [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) }, signal);
}

async function writeResponses(call: Writable, responses: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  for await (const response of untilAborted(responses, signal)) {
    if (!call.write(response)) await once(call, 'drain', { signal });
  }
}

function statusOf(error: unknown, method: string, log: RpcLog | undefined): Partial<StatusObject> & Error {
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
