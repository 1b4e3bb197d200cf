import { expect, test } from 'vitest';
import { createPause } from '../../../../runtime/server/api/pause.ts';

function workFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('others get their turn once a batch has worked for long, and not before each item', async () => {
  const pause = createPause();
  let turns = 0;
  setImmediate(() => (turns += 1));
  await pause();
  expect(turns).toBe(0);
  workFor(15);
  await pause();
  expect(turns).toBe(1);
});
