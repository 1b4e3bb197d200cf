// Turns a handler (an async function or generator) into what runs one call. The only place where a thrown error becomes a status.
import { untilAborted } from './abortable.ts';
import type { CallLimit } from './call-limit.ts';
import type { CallContext, CallObserver, EndedCall, Intercept, RpcLog } from './call-context.ts';
import type { ServerCall } from './server-call.ts';
import type { MethodDefinition } from './service.ts';
import { wellFormed } from './status-headers.ts';
import { cancelled, internal, resourceExhausted, RpcError, statusCode } from './status.ts';

export interface HandlerSurroundings {
  readonly intercept: Intercept | undefined;
  readonly log: RpcLog | undefined;
  readonly observers: readonly CallObserver[];
  readonly limit: CallLimit;
  /** Of streams of answers. */
  readonly streamLimit: CallLimit;
}

type Answer = (request: unknown, context: CallContext) => Promise<unknown>;
type Stream = (request: unknown, context: CallContext) => AsyncIterable<unknown>;

/** Begins to work on a call; never throws. */
export type CallRunner = (call: ServerCall) => void;

/** What runs the calls of one method; the handler's shape follows from the method's. */
export function adaptHandler(method: MethodDefinition, handler: unknown, around: HandlerSurroundings): CallRunner {
  const { path, requestStream, responseStream, requestDeserialize } = method;
  const serialize = method.responseSerialize as (value: unknown) => Buffer;
  const { limit, streamLimit, intercept } = around;
  const isWatch = responseStream && !requestStream;

  const fail = (call: ServerCall, error: unknown, seen: Seen | undefined): void => {
    const known = error instanceof RpcError ? error : translate(error, path, around.log);
    call.fail(known);
    // Whoever watches ends it by leaving: for those who count, that is no failure.
    if (seen === undefined || (isWatch && known.code === statusCode.CANCELLED)) return;
    [seen.code, seen.message] = [known.code, wellFormed(known.message)];
  };

  /** The one request, or a stream of them that notes its first. Observers hear of a call from here on. */
  const begin = async (call: ServerCall): Promise<Seen> => {
    call.startDeadline();
    const request = requestStream ? undefined : deserialize(requestDeserialize, await call.readOne());
    for (const observer of around.observers) observer.began?.();
    const startedAt = performance.now();
    return { context: call, request, response: undefined, code: statusCode.OK, message: '', startedAt };
  };

  const requestOf = (call: ServerCall, seen: Seen): unknown =>
    requestStream ? readRequests(call, requestDeserialize, seen) : seen.request;

  async function answer(call: ServerCall): Promise<void> {
    let seen: Seen | undefined;
    let isAdmitted = false;
    try {
      seen = await begin(call);
      isAdmitted = limit.enter();
      if (!isAdmitted) throw resourceExhausted(`server is busy with ${limit.most} calls`);
      await intercept?.(call, seen.request);
      seen.response = await (handler as Answer)(requestOf(call, seen), call);
      call.succeed(serialize(seen.response));
    } catch (error) {
      fail(call, error, seen);
    } finally {
      if (isAdmitted) limit.leave();
      if (seen !== undefined) close(seen, around, path);
    }
  }

  async function stream(call: ServerCall): Promise<void> {
    let seen: Seen | undefined;
    let isAdmitted = false;
    try {
      seen = await begin(call);
      isAdmitted = streamLimit.enter();
      if (!isAdmitted) throw resourceExhausted(`server has ${streamLimit.most} streams open`);
      await intercept?.(call, seen.request);
      // The next answer is asked for when the last one has left. Whoever reads slowly holds one answer here, and gets what is newest when it reads
      // on; and a handler that goes on after an answer knows that it was written.
      const answers = (handler as Stream)(requestOf(call, seen), call);
      for await (const response of untilAborted(answers, call.signal)) {
        seen.response = response;
        await written(call, serialize(response));
      }
      call.succeed();
    } catch (error) {
      fail(call, error, seen);
    } finally {
      if (isAdmitted) streamLimit.leave();
      if (seen !== undefined) close(seen, around, path);
    }
  }

  const run = responseStream ? stream : answer;
  return (call) => {
    run(call).catch((error: unknown) => {
      around.log?.error({ err: error, method: path }, 'call did not end as it should');
      call.cut();
    });
  };
}

/** A call as its observers will see it, filled in while it runs. */
type Seen = { -readonly [K in keyof EndedCall]: EndedCall[K] };

function close(seen: Seen, { observers, log }: HandlerSurroundings, method: string): void {
  for (const observer of observers) {
    try {
      observer.ended(seen);
    } catch (error) {
      log?.error({ err: error, method }, 'call was not recorded');
    }
  }
}

function deserialize(parse: MethodDefinition['requestDeserialize'], bytes: Buffer): unknown {
  try {
    return parse(bytes);
  } catch (cause) {
    throw internal('request does not decode', { cause });
  }
}

/** Not a generator: what the handler asks of the iterator reaches the stream at once. */
function readRequests(
  call: ServerCall,
  parse: MethodDefinition['requestDeserialize'],
  seen: Seen,
): AsyncIterable<unknown> {
  const requests = untilAborted(call.readAll(), call.signal);
  return {
    [Symbol.asyncIterator]() {
      const iterator = requests[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await iterator.next();
          if (result.done === true) return { done: true, value: undefined };
          const value = deserialize(parse, result.value);
          seen.request ??= value;
          return { done: false, value };
        },
        return: async () => iterator.return(undefined),
      };
    },
  };
}

/** Whoever waits for a peer that does not read waits no longer than the call lives. */
function written(call: ServerCall, answer: Uint8Array): Promise<void> {
  const { signal } = call;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    call
      .write(answer)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** What nobody foresaw is logged here and told to nobody: its text may hold anything. */
function translate(error: unknown, method: string, log: RpcLog | undefined): RpcError {
  if (error instanceof Error && error.name === 'AbortError')
    return cancelled('the call was cancelled', { cause: error });
  log?.error({ err: error, method }, 'handler failed');
  return internal('internal error', { cause: error });
}
