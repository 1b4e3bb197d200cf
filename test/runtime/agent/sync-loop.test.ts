// How long the agent waits between its turns, by a clock that the wait itself moves.
import { describe, expect, it } from 'vitest';
import type { SyncHints } from '../../../runtime/agent/sync/hints.ts';
import { runSyncLoop } from '../../../runtime/agent/sync/sync-loop.ts';
import type { Synchronizer } from '../../../runtime/agent/sync/synchronizer.ts';
import { createLog } from '../../../runtime/log.ts';
import { unavailable } from '../../../runtime/rpc/status.ts';

interface Turns {
  readonly intervalMs: number;
  readonly random?: number;
  /** Of the agent's own SVID, at the beginning, ms. */
  readonly life?: number;
  /** Of each turn. */
  readonly outcomes: readonly ('done' | 'failed' | 'recovered')[];
}

/** The waits before each turn and after the last, ms. */
async function waits({ intervalMs, random = 0.5, life = 3_600_000, outcomes }: Turns): Promise<number[]> {
  let now = 0;
  const [waited, left] = [[] as number[], [...outcomes]];
  const end = new Error('the test is over');
  const hints: SyncHints = {
    told: () => undefined,
    lost: () => undefined,
    isWatching: () => false,
    revision: () => '',
    dueAt: () => Number.POSITIVE_INFINITY,
    isPending: () => false,
    take: () => ({
      changed: { entries: false, bundles: false },
      done: () => undefined,
      putBack: () => undefined,
    }),
  };
  let outcome = left[0];
  const synchronizer = {
    isRenewalDue: () => false,
    lifeLeft: () => life - now,
    signStale: () => Promise.resolve(),
    fetch: () => {
      outcome = left.shift();
      return outcome === 'done' ? Promise.resolve() : Promise.reject(unavailable('server is away'));
    },
    recover: () => Promise.resolve(outcome === 'recovered'),
  };
  const wanted = {
    ring: () => undefined,
    wait: (_: AbortSignal, ms = 0) => {
      waited.push(Math.round(ms));
      now += ms;
      return left.length === 0 ? Promise.reject(end) : Promise.resolve();
    },
  };
  const loop = runSyncLoop(
    {
      synchronizer: synchronizer as unknown as Synchronizer,
      wanted,
      demand: { newerEntries: () => Promise.resolve(), isWaiting: () => false, take: () => () => undefined },
      hints,
      intervalMs,
      random: () => random,
      clock: () => now,
      log: createLog({ level: 'error', format: 'text', write: () => undefined }),
    },
    new AbortController().signal,
  );
  await expect(loop).rejects.toBe(end);
  return waited;
}

describe('the agent waits', () => {
  it('for its interval, a tenth of it more or less', async () => {
    const outcomes = ['done', 'done'] as const;
    expect(await waits({ intervalMs: 5000, outcomes })).toEqual([5000, 5000, 5000]);
    expect(await waits({ intervalMs: 5000, random: 0, outcomes })).toEqual([4500, 4500, 4500]);
    expect(await waits({ intervalMs: 5000, random: 1, outcomes })).toEqual([5500, 5500, 5500]);
  });

  it('half as long again after each failure, half a minute at most, and for its interval after a success', async () => {
    const failed = Array.from({ length: 6 }, () => 'failed' as const);
    expect(await waits({ intervalMs: 5000, outcomes: [...failed, 'done'] })).toEqual([
      5000, 7500, 11_250, 16_875, 25_313, 30_000, 30_000, 5000,
    ]);
  });

  it('no longer than a quarter of what is left of its own SVID, until that has ended', async () => {
    const failed = Array.from({ length: 7 }, () => 'failed' as const);
    expect(await waits({ intervalMs: 5000, life: 25_000, outcomes: failed })).toEqual([
      5000, 5000, 3750, 2813, 2109, 1582, 1187, 1000,
    ]);
    expect(await waits({ intervalMs: 5000, life: 5000, outcomes: ['failed', 'failed'] })).toEqual([5000, 7500, 11_250]);
  });

  it('never less than its interval, be it longer than half a minute', async () => {
    expect(await waits({ intervalMs: 60_000, outcomes: ['failed', 'failed'] })).toEqual([60_000, 60_000, 60_000]);
  });

  it('not at all after a failure that was dealt with', async () => {
    expect(await waits({ intervalMs: 5000, outcomes: ['recovered', 'done'] })).toEqual([5000, 0, 5000]);
  });
});
