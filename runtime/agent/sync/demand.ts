// A workload that no entry matches may have been registered a moment ago: before it is refused, the agent asks its server once more.
import type { Bell } from '../cache/bell.ts';

/** The asking side. */
export interface EntryDemand {
  /** Until entries that are newer than this call have come, or cannot be had soon. Rejects with the signal's reason once it is aborted. */
  newerEntries(signal: AbortSignal): Promise<void>;
}

/** With the answering side, which is the sync. */
export interface SyncDemand extends EntryDemand {
  isWaiting(): boolean;
  /** Those who wait now; the function that it returns tells them that there is nothing more to wait for. */
  take(): () => void;
}

/** A refusal is worth no longer wait. */
const patienceMs = 1_000;

export function createSyncDemand(wanted: Bell): SyncDemand {
  const waiting = new Set<() => void>();
  return {
    async newerEntries(signal) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = () => {
          waiting.delete(done);
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, patienceMs);
        signal.addEventListener('abort', done, { once: true });
        waiting.add(done);
        wanted.ring();
      });
      signal.throwIfAborted();
    },
    isWaiting: () => waiting.size > 0,
    take() {
      const taken = [...waiting];
      waiting.clear();
      return () => {
        for (const done of taken) done();
      };
    },
  };
}
