// How often one process and one user may begin calls.
import { beforeEach, describe, expect, test } from 'vitest';
import { createOpeningRate } from '../../../runtime/rpc/opening-rate.ts';
import type { OpeningRate } from '../../../runtime/rpc/opening-rate.ts';

let now: number;
let rate: OpeningRate;
const of = (pid: number, uid = 7) => ({ transport: 'unix', pid, uid, gid: 0 }) as const;
const take = (times: number, connection: Parameters<OpeningRate['take']>[0]) =>
  Array.from({ length: times }, () => rate.take(connection)).filter((exceeded) => exceeded === undefined).length;

beforeEach(() => {
  now = 0;
  rate = createOpeningRate({
    process: { perSecond: 10, burst: 20 },
    user: { perSecond: 20, burst: 50 },
    now: () => now,
  });
});

describe('of calls', () => {
  test('so many at once, and then so many a second', () => {
    expect(take(100, of(1))).toBe(20);
    now = 1_000;
    expect(take(100, of(1))).toBe(10);
    expect(rate.take(of(1))).toBe('process 1 begins more than 10 calls a second');
  });

  test('what one process has used up leaves others theirs', () => {
    take(100, of(1));
    expect(take(100, of(2))).toBe(20);
    expect(take(100, of(3))).toBe(10);
    expect(rate.take(of(3))).toBe('user 7 begins more than 20 calls a second');
    expect(take(100, of(4, 8))).toBe(20);
  });

  test('what was refused costs nothing', () => {
    take(1_000, of(1));
    now = 2_000;
    expect(take(100, of(1))).toBe(20);
  });

  test('a process whose pid is not visible has what its user has', () => {
    expect(take(100, of(0))).toBe(50);
  });

  test('peers over TLS are not bounded here', () => {
    expect(take(1_000, { transport: 'tcp', address: '127.0.0.1:1', peerChain: [] })).toBe(1_000);
  });
});

describe('a connection', () => {
  test('is refused from the first refused call on, until its process has rested', () => {
    take(20, of(1));
    expect(rate.refusesConnection(of(1))).toBeUndefined();
    take(1, of(1));
    now = 1_900;
    expect(rate.refusesConnection(of(1))).toBe('process 1 begins more than 10 calls a second');
    expect(rate.refusesConnection(of(2))).toBeUndefined();
    now = 2_000;
    expect(rate.refusesConnection(of(1))).toBeUndefined();
  });

  test('of a process that goes on calling is refused for as long', () => {
    take(21, of(1));
    for (now = 500; now < 5_000; now += 500) {
      take(5, of(1));
      expect(rate.refusesConnection(of(1))).toBeDefined();
    }
  });
});
