// Rounds, one after another: at once when something changes, when something that failed is due again, and otherwise now and then.
import { setTimeout as sleep } from 'node:timers/promises';
import { createBell } from '../../../runtime/rpc/bell.ts';
import type { Say } from './ports.ts';
import type { Reconciler, Round } from './reconciler.ts';

export interface LoopOptions {
  readonly idleMs: number;
  readonly clock: () => number;
  readonly say: Say;
  readonly onRound: (round: Round) => void;
  readonly onFailure: (reason: string) => void;
}

export interface Loop {
  /** Something may be wanted otherwise. */
  changed(): void;
  /** Ends when the signal does; a round that has begun is finished first. */
  run(reconciler: Reconciler, signal: AbortSignal): Promise<void>;
}

/** Changes that come together make one round. */
const gatherMs = 100;
const pauses = { first: 500, longest: 30_000 } as const;

export function createLoop({ idleMs, clock, say, onRound, onFailure }: LoopOptions): Loop {
  const bell = createBell();

  return {
    changed: () => bell.ring(),
    async run(reconciler, signal) {
      let pauseMs = 0;
      while (!signal.aborted) {
        let waitMs = idleMs;
        try {
          const round = await reconciler.round();
          pauseMs = 0;
          if (round.retryAt !== undefined) waitMs = Math.min(idleMs, Math.max(0, round.retryAt - clock()));
          onRound(round);
        } catch (cause) {
          pauseMs = pauseMs === 0 ? pauses.first : Math.min(pauseMs * 2, pauses.longest);
          const reason = cause instanceof Error ? cause.message : String(cause);
          say('error', 'the round failed', { reason, pauseMs });
          onFailure(reason);
        }
        await (pauseMs > 0 ? pause(pauseMs, signal) : change(waitMs, signal));
      }
    },
  };

  async function change(waitMs: number, signal: AbortSignal): Promise<void> {
    // It rejects when the signal ends it, which is what the loop looks at next.
    await bell.wait(signal, waitMs).catch(() => undefined);
    await pause(gatherMs, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
