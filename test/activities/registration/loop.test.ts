import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createLoop } from '../../../activities/registration/reconcile/loop.ts';
import type { Round } from '../../../activities/registration/reconcile/reconciler.ts';
import type { Loop } from '../../../activities/registration/reconcile/loop.ts';
import { createRetries } from '../../../activities/registration/reconcile/retries.ts';

const quiet: Round = {
  waitingFor: [],
  plan: { create: [], update: [], remove: [], standing: [], masked: [], taken: [] },
  held: [],
  applied: { created: 0, updated: 0, removed: 0, failed: [] },
  faults: [],
  retryAt: undefined,
};

function run(answers: (round: number, loop: Loop) => Partial<Round> | Error) {
  const [stopping, rounds, said]: [AbortController, number[], string[]] = [new AbortController(), [], []];
  const loop = createLoop({
    idleMs: 600_000, // no test lives to see its end
    clock: Date.now,
    say: (level, message, fields) => said.push(`${level} ${message} ${JSON.stringify(fields)}`),
    onRound: () => undefined,
    onFailure: (reason) => said.push(`told of ${reason}`),
  });
  const reconciler = {
    async round() {
      rounds.push(Date.now());
      const answer = answers(rounds.length, loop);
      if (answer instanceof Error) throw answer;
      return { ...quiet, ...answer };
    },
  };
  const done = loop.run(reconciler, stopping.signal);
  /** There have been so many rounds, and no more in the time in which a change makes one. */
  const haveBeen = async (count: number): Promise<void> => {
    await expect.poll(() => rounds.length).toBe(count);
    await sleep(400);
    expect(rounds).toHaveLength(count);
  };
  return { loop, rounds, said, haveBeen, stop: () => (stopping.abort(), done) };
}

it('goes round at a change, and takes changes that come together as one', async () => {
  const { loop, haveBeen, stop } = run(() => ({}));
  await haveBeen(1);
  for (let i = 0; i < 20; i += 1) loop.changed();
  await haveBeen(2);
  await stop();
});

it('goes round again for a change that came while a round went on', async () => {
  const { haveBeen, stop } = run((round, loop) => {
    if (round === 1) loop.changed();
    return {};
  });
  await haveBeen(2);
  await stop();
});

it('goes round when something that failed is due', async () => {
  const { rounds, haveBeen, stop } = run((round) => (round === 1 ? { retryAt: Date.now() + 200 } : {}));
  await haveBeen(2);
  await stop();
  expect((rounds[1] ?? 0) - (rounds[0] ?? 0)).toBeGreaterThanOrEqual(199);
});

it('waits longer after each failure, says why, and ends at once when it is to', async () => {
  const { said, haveBeen, stop } = run((round) => (round < 3 ? new Error(`failure ${round}`) : {}));
  await haveBeen(3);
  await stop();
  expect(said).toEqual([
    'error the round failed {"reason":"failure 1","pauseMs":500}',
    'told of failure 1',
    'error the round failed {"reason":"failure 2","pauseMs":1000}',
    'told of failure 2',
  ]);
});

it('tries what fails again after 1 s, 2 s and so on, five minutes at most', () => {
  const world = { now: 0 };
  const retries = createRetries(() => world.now);
  const pauses: number[] = [];
  for (let failure = 0; failure < 11; failure += 1) {
    retries.failed('a');
    pauses.push((retries.nextAt() ?? 0) - world.now);
    expect(retries.isDue('a')).toBe(false);
    world.now = retries.nextAt() ?? 0;
    expect(retries.isDue('a')).toBe(true);
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((seconds) => seconds * 1000));
  retries.keepOnly(() => false);
  expect(retries.nextAt()).toBeUndefined();
});
