// How many calls a set of selectors has.
import { Metadata } from '@grpc/grpc-js';
import { beforeEach, describe, expect, it } from 'vitest';
import { createRateLimiter } from '../../../runtime/agent/workload-api/rate-limit.ts';
import type { RateLimiter } from '../../../runtime/agent/workload-api/rate-limit.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { parseSelector } from '../../../runtime/spiffe/selector.ts';

const method = '/SpiffeWorkloadAPI/FetchX509SVID';
const ownPid = 7;
let now: number;
let limiter: RateLimiter;

beforeEach(() => {
  now = 1_000_000;
  limiter = createRateLimiter({ limits: new Map([[method, 2]]), clock: () => now, ownPid });
});

function call(selectors: readonly string[], { pid = 8, name = method } = {}): void {
  const connection = { transport: 'unix', pid, uid: 0, gid: 0 } as const;
  const context = { connection, metadata: new Metadata(), signal: new AbortController().signal, method: name };
  limiter.check(context, selectors.map(parseSelector));
}

const exceeded = expect.objectContaining({
  code: statusCode.UNAVAILABLE,
  message: `rate limit exceeded for ${method}`,
}) as Error;

describe('a caller is refused', () => {
  it('when the calls of a second are used up', () => {
    call(['unix:uid:1']);
    call(['unix:uid:1']);
    expect(() => call(['unix:uid:1'])).toThrow(exceeded);
  });

  it('by the set of its selectors, whatever their order and its pid', () => {
    call(['unix:uid:1', 'unix:gid:1'], { pid: 8 });
    call(['unix:gid:1', 'unix:uid:1'], { pid: 9 });
    expect(() => call(['unix:uid:1', 'unix:gid:1'], { pid: 10 })).toThrow(exceeded);
  });

  it('with those who have no selectors', () => {
    call([]);
    call([]);
    expect(() => call([])).toThrow(exceeded);
  });

  it('however often it comes back too soon', () => {
    call(['unix:uid:1']);
    call(['unix:uid:1']);
    for (let i = 0; i < 4; i += 1) {
      now += 100;
      expect(() => call(['unix:uid:1'])).toThrow(exceeded);
    }
  });

  it('when the clock is set back', () => {
    call(['unix:uid:1']);
    call(['unix:uid:1']);
    now -= 60_000;
    expect(() => call(['unix:uid:1'])).toThrow(exceeded);
  });
});

describe('a caller is let through', () => {
  it('again as time passes', () => {
    call(['unix:uid:1']);
    call(['unix:uid:1']);
    now += 500;
    call(['unix:uid:1']);
    expect(() => call(['unix:uid:1'])).toThrow(exceeded);
  });

  it('whatever others did', () => {
    call(['unix:uid:1']);
    call(['unix:uid:1']);
    call(['unix:uid:2']);
    call(['unix:uid:1', 'unix:gid:1']);
  });

  it('where the method has no limit', () => {
    for (let i = 0; i < 10; i += 1) call(['unix:uid:1'], { name: '/SpiffeWorkloadAPI/FetchJWTSVID' });
  });

  it('if it is the agent itself', () => {
    for (let i = 0; i < 10; i += 1) call(['unix:uid:1'], { pid: ownPid });
  });
});
