// When the synchronizer takes its turns: at an interval, longer after failures, and sooner for a workload that waits for an SVID or an entry, or
// when the server tells of a change.
import type { Logger } from '../../log.ts';
import type { Bell } from '../cache/bell.ts';
import type { SyncDemand } from './demand.ts';
import type { SyncHints } from './hints.ts';
import type { Synchronizer } from './synchronizer.ts';

export interface SyncLoopOptions {
  readonly synchronizer: Synchronizer;
  /** Rings when an SVID or an entry is wanted before the next turn. */
  readonly wanted: Bell;
  readonly demand: SyncDemand;
  readonly hints: SyncHints;
  readonly intervalMs: number;
  readonly random: () => number;
  readonly clock: () => number;
  readonly log: Logger;
}

const growth = 1.5;
/** SPIRE waits up to 8 min; a server that is back should not have to wait for its agents. */
const longestIntervalMs = 30_000;
/** Who is about to lose its own SVID has no time for long pauses: without it it may be locked out. */
const shareOfLifeLeft = 0.25;
const shortestPauseMs = 1_000;
/** A workload without an identity may ask as often as it likes; the server is asked no more often than this. */
const demandSpacingMs = 500;
/** A server that tells of changes is asked for everything all the same, in case it told too little. */
const watchedIntervalMs = 30_000;

/** Until the signal stops it (rejects with its reason) or the agent cannot go on (rejects with an AgentStopped). */
export async function runSyncLoop(options: SyncLoopOptions, signal: AbortSignal): Promise<never> {
  const { synchronizer, wanted, demand, hints, intervalMs, random, clock, log } = options;
  const jittered = (ms: number) => ms * (0.9 + 0.2 * random());
  const longest = Math.max(longestIntervalMs, intervalMs);
  let interval = intervalMs;
  let began = clock();
  let fetchedAt = began;
  let due = began + jittered(interval);
  let succeeded = true;

  /** Everything, or what the server told of. */
  const turn = async (isWhole: boolean): Promise<void> => {
    began = clock();
    const [release, told] = [demand.take(), hints.take()];
    try {
      await synchronizer.fetch(signal, isWhole ? undefined : told.changed);
      told.done();
    } catch (error) {
      told.putBack();
      throw error;
    } finally {
      release(); // before the SVIDs: those that somebody waits for are signed first
    }
    if (isWhole) fetchedAt = began;
    await synchronizer.signStale(signal);
  };
  /** After a failure; an SVID that has ended is in no hurry any more. */
  const pauseOf = (ms: number): number => {
    const left = synchronizer.lifeLeft();
    return left <= 0 ? ms : Math.min(ms, Math.max(shortestPauseMs, left * shareOfLifeLeft));
  };
  /** What the server would have told needs no poll. */
  const isUpToDate = (): boolean =>
    hints.isWatching() &&
    !hints.isPending() &&
    !demand.isWaiting() &&
    !synchronizer.isRenewalDue() &&
    clock() - fetchedAt < watchedIntervalMs;

  for (;;) {
    await wanted.wait(signal, Math.max(0, Math.min(due, hints.dueAt()) - clock()));
    if (demand.isWaiting()) {
      if (succeeded) due = Math.min(due, began + demandSpacingMs);
      else demand.take()(); // the server does not answer: the refusal need not wait for it
    }
    const full = clock() >= due;
    const isHinted = clock() >= hints.dueAt();
    const isWhole = full && !isUpToDate();
    try {
      await (isWhole || isHinted ? turn(isWhole) : synchronizer.signStale(signal));
      if (!full) continue;
      succeeded = true;
      interval = intervalMs;
    } catch (error) {
      signal.throwIfAborted();
      const recovered = await synchronizer.recover(error, signal);
      fetchedAt = Number.NEGATIVE_INFINITY;
      if (!recovered) log.error({ err: error }, isWhole || isHinted ? 'Synchronize failed' : 'SVID sync failed');
      // Workloads that keep asking while the server is away must not put the next full turn off.
      if (!recovered && !full) continue;
      succeeded = recovered;
      interval = recovered ? 0 : Math.min(longest, Math.max(interval, intervalMs) * growth);
    }
    due = clock() + jittered(succeeded ? interval : pauseOf(interval));
  }
}
