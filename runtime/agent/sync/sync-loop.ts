// When the synchronizer takes its turns: at an interval, longer after failures, and sooner for a workload that waits for an SVID or an entry.
import type { Logger } from '../../log.ts';
import type { Bell } from '../cache/bell.ts';
import type { SyncDemand } from './demand.ts';
import type { Synchronizer } from './synchronizer.ts';

export interface SyncLoopOptions {
  readonly synchronizer: Synchronizer;
  /** Rings when an SVID or an entry is wanted before the next turn. */
  readonly wanted: Bell;
  readonly demand: SyncDemand;
  readonly intervalMs: number;
  readonly random: () => number;
  readonly clock: () => number;
  readonly log: Logger;
}

const growth = 1.5;
/** SPIRE waits up to 8 min; a server that is back should not have to wait for its agents. */
const longestIntervalMs = 30_000;
/** A workload without an identity may ask as often as it likes; the server is asked no more often than this. */
const demandSpacingMs = 500;

/** Until the signal stops it (rejects with its reason) or the agent cannot go on (rejects with an AgentStopped). */
export async function runSyncLoop(options: SyncLoopOptions, signal: AbortSignal): Promise<never> {
  const { synchronizer, wanted, demand, intervalMs, random, clock, log } = options;
  const jittered = (ms: number) => ms * (0.9 + 0.2 * random());
  const longest = Math.max(longestIntervalMs, intervalMs);
  let interval = intervalMs;
  let began = clock();
  let due = began + jittered(interval);
  let succeeded = true;

  const turn = async (): Promise<void> => {
    began = clock();
    const release = demand.take();
    try {
      await synchronizer.fetch(signal);
    } finally {
      release(); // before the SVIDs: those that somebody waits for are signed first
    }
    await synchronizer.signStale(signal);
  };

  for (;;) {
    await wanted.wait(signal, Math.max(0, due - clock()));
    if (demand.isWaiting()) {
      if (succeeded) due = Math.min(due, began + demandSpacingMs);
      else demand.take()(); // the server does not answer: the refusal need not wait for it
    }
    const full = clock() >= due;
    try {
      await (full ? turn() : synchronizer.signStale(signal));
      if (!full) continue;
      succeeded = true;
      interval = intervalMs;
    } catch (error) {
      signal.throwIfAborted();
      const recovered = await synchronizer.recover(error, signal);
      if (!recovered) log.error({ err: error }, full ? 'Synchronize failed' : 'SVID sync failed');
      // Workloads that keep asking while the server is away must not put the next full turn off.
      if (!recovered && !full) continue;
      succeeded = recovered;
      interval = recovered ? 0 : Math.min(longest, Math.max(interval, intervalMs) * growth);
    }
    due = clock() + jittered(interval);
  }
}
