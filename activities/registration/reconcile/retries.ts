// What failed is tried again, later each time: an entry that the server refuses must not be sent with every change of every pod.
export interface Retries {
  /** Whether the time has come, or nothing has failed yet. */
  isDue(key: string): boolean;
  failed(key: string): void;
  succeeded(key: string): void;
  /** Forgets what is no longer wanted. */
  keepOnly(isWanted: (key: string) => boolean): void;
  /** When the next is due; undefined where nothing failed. */
  nextAt(): number | undefined;
}

const firstMs = 1_000;
const longestMs = 300_000;

export function createRetries(clock: () => number): Retries {
  const waiting = new Map<string, { readonly dueAt: number; readonly pauseMs: number }>();
  return {
    isDue: (key) => (waiting.get(key)?.dueAt ?? 0) <= clock(),
    failed(key) {
      const before = waiting.get(key)?.pauseMs;
      const pauseMs = before === undefined ? firstMs : Math.min(before * 2, longestMs);
      waiting.set(key, { pauseMs, dueAt: clock() + pauseMs });
    },
    succeeded: (key) => void waiting.delete(key),
    keepOnly(isWanted) {
      for (const key of waiting.keys()) if (!isWanted(key)) waiting.delete(key);
    },
    nextAt: () => (waiting.size === 0 ? undefined : Math.min(...[...waiting.values()].map(({ dueAt }) => dueAt))),
  };
}
