import { expect, test } from 'vitest';
import { heartbeatOf } from '../../../runtime/spiffe/heartbeat.ts';

const secondMs = 1_000;

test.each([
  ['an eighth of the life of an SVID', 4 * 60 * secondMs, 30 * secondMs],
  ['a minute where that is longer', 3600 * secondMs, 60 * secondMs],
  ['a second where that is shorter', 5 * secondMs, secondMs],
  ['whole milliseconds', 10_001, 1_250],
])('a heartbeat is %s', (_what, ttlMs, beatMs) => {
  expect(heartbeatOf(ttlMs)).toBe(beatMs);
});
