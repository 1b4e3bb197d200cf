// Keeps a stream of the Workload API open for as long as its owner lives: outlives the agent's restarts, asks again with growing pauses, and never
// rejects. What was heard last stays in use while the agent is away.
import { setTimeout as delay } from 'node:timers/promises';
import type { RpcLog } from '../rpc/call-context.ts';
import { RpcError, statusCode } from '../rpc/status.ts';

const retryMs = { first: 100, longest: 5_000 };

export interface Follow<T> {
  /** Opens the stream anew; it ends with the signal. */
  readonly open: (signal: AbortSignal) => AsyncIterable<T>;
  /** Awaited, so that updates do not overtake each other. */
  readonly update: (value: T) => unknown;
  readonly signal: AbortSignal;
  readonly log: RpcLog | undefined;
}

/** Resolves once the signal is aborted. */
export async function follow<T>({ open, update, signal, log }: Follow<T>): Promise<void> {
  let waitMs = retryMs.first;
  const isClosed = (): boolean => signal.aborted;
  while (!isClosed()) {
    try {
      for await (const value of open(signal)) {
        if (isClosed()) return;
        await update(value);
        waitMs = retryMs.first;
      }
    } catch (error) {
      if (isClosed()) return;
      log?.warn({ err: error, retryInMs: waitMs, permanent: isPermanent(error) }, 'Workload API stream failed');
      if (isPermanent(error)) waitMs = retryMs.longest;
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined); // aborted: the loop sees it
    waitMs = Math.min(waitMs * 2, retryMs.longest);
  }
}

/** The agent calls the request itself wrong: asking quickly again makes it no better. */
function isPermanent(error: unknown): boolean {
  return error instanceof RpcError && error.code === statusCode.INVALID_ARGUMENT;
}
