// Keeps a stream of a server open, again and again, for callers that can do without it: a server that does not have it is asked again later.
import { RpcError, statusCode } from './status.ts';

export interface KeepWatchingOptions<T> {
  /** The stream, begun anew. */
  readonly open: (signal: AbortSignal) => AsyncIterable<T>;
  readonly onMessage: (message: T) => void;
  /** It does not stand any more, for this reason; the stream's own end has none. */
  readonly onLost: (error: unknown) => void;
  /** Calls the listener when the stream is to be begun anew at once. Returns the way to stop. */
  readonly onRestart?: (listener: () => void) => () => void;
  readonly random: () => number;
  readonly retryMs?: { readonly first: number; readonly longest: number };
}

/** Another server may be there then. */
const askAgainMs = 5 * 60_000;
/** Many that lose the same server do not come back together. */
const defaultRetryMs = { first: 200, longest: 5_000 };

/** Until the signal; never rejects. */
export async function keepWatching<T>(options: KeepWatchingOptions<T>, signal: AbortSignal): Promise<void> {
  const { open, onMessage, onLost, onRestart, random, retryMs = defaultRetryMs } = options;
  const isOver = (): boolean => signal.aborted;
  let wait = retryMs.first;
  while (!isOver()) {
    const restarted = new AbortController();
    const unlisten = onRestart?.(() => restarted.abort());
    let failure: unknown;
    try {
      for await (const message of open(AbortSignal.any([signal, restarted.signal]))) {
        wait = retryMs.first;
        onMessage(message);
      }
    } catch (error) {
      failure = error;
    } finally {
      unlisten?.();
    }
    if (isOver()) return;
    if (restarted.signal.aborted) {
      onLost(undefined);
      continue;
    }
    onLost(failure);
    await pause((isUnimplemented(failure) ? askAgainMs : wait) * (0.5 + random()), signal);
    wait = Math.min(wait * 2, retryMs.longest);
  }
}

/** The server does not have the method. */
export function isUnimplemented(error: unknown): boolean {
  return error instanceof RpcError && error.code === statusCode.UNIMPLEMENTED;
}

/** Ends early when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
