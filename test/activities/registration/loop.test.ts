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
    idleMs: 60_000,
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
  return { loop, rounds, said, stop: () => (stopping.abort(), done) };
}

it('goes round at a change, and takes changes that come together as one', async () => {
  const { loop, rounds, stop } = run(() => ({}));
  await sleep(50);
  for (let i = 0; i < 20; i += 1) loop.changed();
  await sleep(400);
  await stop();
  expect(rounds).toHaveLength(2);
});

it('goes round again for a change that came while a round went on', async () => {
  const { rounds, stop } = run((round, loop) => {
    if (round === 1) loop.changed();
    return {};
  });
  await sleep(400);
  await stop();
  expect(rounds).toHaveLength(2);
});

it('goes round when something that failed is due', async () => {
  const { rounds, stop } = run((round) => (round === 1 ? { retryAt: Date.now() + 200 } : {}));
  await sleep(600);
  await stop();
  expect(rounds).toHaveLength(2);
  expect((rounds[1] ?? 0) - (rounds[0] ?? 0)).toBeGreaterThanOrEqual(199);
});

it('waits longer after each failure, says why, and ends at once when it is to', async () => {
  const { rounds, said, stop } = run((round) => (round < 3 ? new Error(`failure ${round}`) : {}));
  await sleep(1_800);
  const before = Date.now();
  await stop();
  expect(Date.now() - before).toBeLessThan(500);
  expect(rounds).toHaveLength(3);
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
