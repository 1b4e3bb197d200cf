// Token buckets per client address. A call that comes too soon waits for its tokens, as SPIRE's limiter does; what can never be granted is refused
// at once. Calls over the Unix socket are not limited.
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallContext } from '../../rpc/call-context.ts';
import { resourceExhausted } from '../../rpc/status.ts';
import type { RateLimitName } from './method-policy.ts';
import { methodPolicies, rateLimits } from './method-policy.ts';

export interface RateLimitOptions {
  /** Attestation and signing limits can be switched off; the others cannot. */
  readonly attestation: boolean;
  readonly signing: boolean;
  readonly clock: () => number;
}

export interface RateLimiter {
  /** Waits until the call may go on; `cost` is the number of items of a batch. `what` begins the refusal's message. */
  admit(context: CallContext, cost: number, what: string): Promise<void>;
}

interface Bucket {
  tokens: number;
  updatedAt: number;
}

/** Buckets full again are forgotten when this many are kept: an address costs memory only while it calls. */
const sweepAbove = 10_000;
/** A caller is told to come later rather than held longer than this, so that waiting calls do not pile up. */
const longestWaitMs = 30_000;

export function createRateLimiter({ attestation, signing, clock }: RateLimitOptions): RateLimiter {
  const always = { publish: true, status: true, fleet: true, service: true };
  const enabled: Record<RateLimitName, boolean> = { attest: attestation, sign: signing, ...always };
  const buckets = new Map<string, Bucket>();

  return {
    async admit(context, cost, what) {
      const limit = methodPolicies.get(context.method)?.limit;
      const { connection } = context;
      if (limit === undefined || !enabled[limit] || connection.transport === 'unix') return;
      const rate = rateLimits[limit];
      if (cost > rate) throw resourceExhausted(`${what}: rate (${cost}) exceeds burst size (${rate})`);
      // Each method has a bucket of its own, as the limits of different methods do not share tokens.
      const delay = take(`${context.method} ${hostOf(connection.address)}`, rate, cost);
      if (delay === undefined) throw resourceExhausted(`${what}: rate: would exceed the longest wait`);
      if (delay > 0) await sleep(delay, undefined, { signal: context.signal });
    },
  };

  /** Takes the tokens, in advance if need be; the wait until they are earned, or undefined when that is too long (nothing is taken then). */
  function take(key: string, rate: number, cost: number): number | undefined {
    const now = clock();
    const bucket = buckets.get(key) ?? { tokens: rate, updatedAt: now };
    // A clock that is set back takes nothing away.
    const tokens = Math.min(rate, bucket.tokens + (Math.max(0, now - bucket.updatedAt) * rate) / 1000) - cost;
    const delay = tokens >= 0 ? 0 : Math.ceil((-tokens * 1000) / rate);
    if (delay > longestWaitMs) return undefined;
    if (buckets.size >= sweepAbove && !buckets.has(key)) sweep(now);
    buckets.set(key, { tokens, updatedAt: now });
    return delay;
  }

  function sweep(now: number): void {
    for (const [key, { tokens, updatedAt }] of buckets) {
      // Every limit fills up from nothing within a second.
      if (tokens >= 0 && now - updatedAt >= 1000) buckets.delete(key);
    }
  }
}

/** `10.0.0.1` of `10.0.0.1:4242`, `::1` of `::1:4242`. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(':');
  return colon === -1 ? address : address.slice(0, colon);
}
