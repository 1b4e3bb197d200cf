// When the synchronizer takes its turns: at an interval, longer after failures, and at once for a workload that waits for an SVID.
import type { Logger } from '../../log.ts';
import type { Bell } from '../cache/bell.ts';
import type { Synchronizer } from './synchronizer.ts';

export interface SyncLoopOptions {
  readonly synchronizer: Synchronizer;
  /** Rings when an SVID is wanted before the next turn. */
  readonly wanted: Bell;
  readonly intervalMs: number;
  readonly random: () => number;
  readonly clock: () => number;
  readonly log: Logger;
  /** After each full turn that succeeded. */
  readonly onSynchronized: () => void;
}

const growth = 1.5;
/** SPIRE waits up to 8 min; a server that is back should not have to wait for its agents. */
const longestIntervalMs = 30_000;

/** Until the signal stops it (rejects with its reason) or the agent cannot go on (rejects with an AgentStopped). */
export async function runSyncLoop(options: SyncLoopOptions, signal: AbortSignal): Promise<never> {
  const { synchronizer, wanted, intervalMs, random, clock, log, onSynchronized } = options;
  const jittered = (ms: number) => ms * (0.9 + 0.2 * random());
  const longest = Math.max(longestIntervalMs, intervalMs);
  let interval = intervalMs;
  let due = clock() + jittered(interval);
  for (;;) {
    await wanted.wait(signal, Math.max(0, due - clock()));
    const full = clock() >= due;
    try {
      if (!full) {
        await synchronizer.signStale(signal);
        continue;
      }
      await synchronizer.synchronize(signal);
      interval = intervalMs;
      onSynchronized();
    } catch (error) {
      signal.throwIfAborted();
      if (await synchronizer.recover(error, signal)) {
        interval = 0;
      } else {
        interval = Math.min(longest, Math.max(interval, intervalMs) * growth);
        log.error({ err: error }, full ? 'Synchronize failed' : 'SVID sync failed');
      }
    }
    due = clock() + jittered(interval);
  }
}
