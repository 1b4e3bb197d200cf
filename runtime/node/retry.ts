// Tries again until it works or the time is over: right after a machine is made, its rights and its services may still be on their way.
import { setTimeout as sleep } from 'node:timers/promises';

export interface RetryOptions {
  readonly timeoutMs: number;
  readonly pauseMs: number;
  readonly clock: () => number;
  /** Told of each failure that another try follows. */
  readonly onFailure?: (cause: unknown) => void;
}

/** Throws what the last try threw. */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { timeoutMs, pauseMs, clock, onFailure } = options;
  const end = clock() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      if (clock() + pauseMs >= end) throw cause;
      onFailure?.(cause);
      await sleep(pauseMs);
    }
  }
}
