// Takes SVIDs that have ended out of the cache and out of open streams, when they end: nothing else would while the server is away.
import { setTimeout as sleep } from 'node:timers/promises';
import type { SvidCache } from './svid-cache.ts';

export interface WithdrawingOptions {
  readonly cache: Pick<SvidCache, 'nextExpiry' | 'withdrawEnded'>;
  readonly clock: () => number;
}

/** An SVID that comes meanwhile may end sooner than all that were there. */
const longestWaitMs = 1_000;

/** Until the signal is aborted. */
export async function keepWithdrawing({ cache, clock }: WithdrawingOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const waitMs = Math.min(longestWaitMs, Math.max(0, cache.nextExpiry() - clock()));
    await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined); // by the signal alone
    cache.withdrawEnded();
  }
}
