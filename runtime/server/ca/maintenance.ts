// What the CA does by the clock: rotation every few seconds, and now and then the removal of what has long expired.
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
const pruneJournalsEveryMs = 8 * 3_600_000;
/** Journals stay two weeks longer than their last authority. */
const journalGraceSeconds = 14 * 24 * hourSeconds;

export function startMaintenance({ context, tick, tickMs }: MaintenanceOptions): Maintenance {
  const { store, trustDomain, clock, log } = context;
  const nowSeconds = (): number => Math.floor(clock() / 1000);
  let prunedBundleAt = clock();
  let prunedJournalsAt = clock();
  let running: Promise<void> | undefined;
  let [isStopped, isAskedAgain] = [false, false];

  const pruneBundle = async (): Promise<void> => {
    prunedBundleAt = clock();
    try {
      await store.pruneBundle(trustDomain.name, nowSeconds() - bundleGraceSeconds);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'LAST_AUTHORITY') throw error;
      log.warn({ err: error }, 'bundle not pruned');
    }
  };

  const run = async (): Promise<void> => {
    await tick();
    if (clock() - prunedBundleAt >= pruneBundleEveryMs) await pruneBundle();
    if (clock() - prunedJournalsAt < pruneJournalsEveryMs) return;
    prunedJournalsAt = clock();
    await store.pruneCaJournals(nowSeconds() - journalGraceSeconds);
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
