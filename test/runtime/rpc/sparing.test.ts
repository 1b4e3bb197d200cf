// How often a thing is said that happens all the time.
import { expect, test } from 'vitest';
import { createSparing } from '../../../runtime/rpc/sparing.ts';

test('so many times a second, and then with the count of what was not said', () => {
  let now = 0;
  const said: number[] = [];
  const say = createSparing(2, () => now);
  const happen = (times: number): void => {
    for (let time = 0; time < times; time += 1) say((unsaid) => said.push(unsaid));
  };
  happen(5);
  expect(said).toEqual([0, 0]);
  now = 999;
  happen(1);
  expect(said).toEqual([0, 0]);
  now = 1_000;
  happen(3);
  expect(said).toEqual([0, 0, 4, 0]);
  now = 9_000;
  happen(1);
  expect(said).toEqual([0, 0, 4, 0, 1]);
});
