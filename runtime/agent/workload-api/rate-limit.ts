// How often a workload may call: a bucket of calls for each method and set of selectors, as SPIRE counts them. Off unless it is configured.
import { createHash } from 'node:crypto';
import type { CallContext } from '../../rpc/call-context.ts';
import { unavailable } from '../../rpc/status.ts';
import { sortSelectors } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';

/** Calls per second by method, as `/SpiffeWorkloadAPI/FetchX509SVID`. A method that is not there has no limit. */
export type RateLimits = ReadonlyMap<string, number>;

export interface RateLimiter {
  /** Throws UNAVAILABLE where the caller has used up its calls. */
  check(context: CallContext, selectors: readonly Selector[]): void;
}

export interface RateLimiterOptions {
  readonly limits: RateLimits;
  /** Epoch ms. */
  readonly clock: () => number;
  /** The agent's own process, whose calls (a health check, say) are not counted. */
  readonly ownPid?: number;
}

interface Bucket {
  calls: number;
  filledAt: number;
}

/** So many sets of selectors are remembered for each method at most; the one that called longest ago is forgotten first. */
const maxBuckets = 10_000;

export function createRateLimiter({ limits, clock, ownPid = process.pid }: RateLimiterOptions): RateLimiter {
  const methods = new Map([...limits].map(([method, perSecond]) => [method, createBuckets(perSecond, clock)] as const));
  return {
    check({ method, connection }, selectors) {
      const take = methods.get(method);
      if (take === undefined) return;
      if (connection.transport === 'unix' && connection.pid === ownPid) return;
      if (!take(keyOf(selectors))) throw unavailable(`rate limit exceeded for ${method}`);
    },
  };
}

/** A bucket holds the calls of one second, and is full at first. */
function createBuckets(perSecond: number, clock: () => number): (key: string) => boolean {
  const buckets = new Map<string, Bucket>();
  return (key) => {
    const now = clock();
    const bucket = buckets.get(key) ?? { calls: perSecond, filledAt: now };
    const elapsed = Math.max(0, now - bucket.filledAt); // a clock set back gives nothing and takes nothing
    bucket.calls = Math.min(perSecond, bucket.calls + (elapsed * perSecond) / 1000);
    bucket.filledAt = now;
    buckets.delete(key);
    buckets.set(key, bucket);
    const [oldest] = buckets.keys();
    if (buckets.size > maxBuckets && oldest !== undefined) buckets.delete(oldest);
    if (bucket.calls < 1) return false;
    bucket.calls -= 1;
    return true;
  };
}

function keyOf(selectors: readonly Selector[]): string {
  const hash = createHash('sha256');
  for (const { type, value } of sortSelectors(selectors)) hash.update(`${type}\0${value}\0`);
  return hash.digest('base64');
}
