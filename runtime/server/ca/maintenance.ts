// What the CA does by the clock: rotation every few seconds, and now and then the removal of what has long expired.
import { createCallCounter } from '../../telemetry/call-counter.ts';
import { StoreError } from '../store/errors.ts';
import type { AuthorityContext } from './authority-context.ts';

export interface Maintenance {
  /** Without waiting for the next look at the clock. */
  tickSoon(): void;
  stop(): void;
  /** Resolves when nothing runs any more. */
  stopped(): Promise<void>;
}

export interface MaintenanceOptions {
  readonly context: AuthorityContext;
  readonly tick: () => Promise<void>;
  readonly tickMs: number;
}

const hourSeconds = 3_600;
const pruneBundleEveryMs = 6 * 3_600_000;
/** Expired authorities stay a day longer, for clocks that are behind. */
const bundleGraceSeconds = 24 * hourSeconds;
/** CA journals and what else is kept of authorities. */
const pruneRecordsEveryMs = 8 * 3_600_000;
/** They stay two weeks longer than their authorities. */
const recordGraceSeconds = 14 * 24 * hourSeconds;
/** Timers are not exact: a server whose turn it is again is not late by a millisecond. */
const claimShare = 0.9;

export function startMaintenance({ context, tick, tickMs }: MaintenanceOptions): Maintenance {
  const { store, trustDomain, clock, log, metrics } = context;
  const pruning = createCallCounter(metrics, ['ca', 'manager', 'bundle', 'prune']);
  const pruned = metrics.counter(['ca', 'manager', 'bundle', 'pruned']);
  const nowSeconds = (): number => Math.floor(clock() / 1000);
  let prunedBundleAt = clock();
  let prunedRecordsAt = clock();
  let running: Promise<void> | undefined;
  let [isStopped, isAskedAgain] = [false, false];

  /** One of the servers on this database does it; the others look again after the same time. */
  const claim = (task: string, everyMs: number): Promise<boolean> =>
    store.claimTask(task, clock(), everyMs * claimShare);

  const pruneBundle = async (): Promise<void> => {
    prunedBundleAt = clock();
    if (!(await claim('bundle', pruneBundleEveryMs))) return;
    try {
      const isChanged = await pruning.measure(() =>
        store.pruneBundle(trustDomain.name, nowSeconds() - bundleGraceSeconds),
      );
      if (!isChanged) return;
      pruned.add();
      log.debug('Expired certificates were successfully pruned from bundle');
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'LAST_AUTHORITY') throw error;
      log.warn({ err: error }, 'Could not prune CA certificates');
    }
  };

  const pruneRecords = async (): Promise<void> => {
    prunedRecordsAt = clock();
    if (!(await claim('records-of-authorities', pruneRecordsEveryMs))) return;
    const expiredBefore = nowSeconds() - recordGraceSeconds;
    await store.pruneCaJournals(expiredBefore);
    await store.pruneIntents(expiredBefore);
    await store.pruneSignedUntil(expiredBefore);
    await store.pruneRevokedAuthorities(trustDomain.name, expiredBefore);
    await store.pruneActs();
    await store.pruneReplicas();
  };

  const run = async (): Promise<void> => {
    await tick();
    if (clock() - prunedBundleAt >= pruneBundleEveryMs) await pruneBundle();
    if (clock() - prunedRecordsAt >= pruneRecordsEveryMs) await pruneRecords();
  };

  /** Asked during a run, it runs once more. */
  const runOnce = (): void => {
    isAskedAgain = true;
    if (running !== undefined) return;
    running = (async () => {
      while (isAskedAgain && !isStopped) {
        isAskedAgain = false;
        await run().catch((error: unknown) => {
          if (!context.signal.aborted) log.error({ err: error }, 'rotation failed');
        });
      }
      // In the same turn as the last look: whoever asks now starts anew.
      running = undefined;
    })();
  };
  const timer = setInterval(runOnce, tickMs);

  return {
    tickSoon: runOnce,
    stop() {
      isStopped = true;
      clearInterval(timer);
    },
    stopped: async () => running,
  };
}
