// Token buckets per client address. A call that comes too soon waits for its tokens, as SPIRE's limiter does; what can never be granted is refused
// at once, as is what would not be granted before its caller gives up. Calls over the Unix socket are not limited.
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
  readonly rate: number;
  readonly updatedAt: number;
  /** Below zero where they are promised to callers that wait. */
  tokens: number;
}

/** Buckets full again are forgotten when this many are kept, once in so long at most: an address costs memory only while it calls. */
const sweepAbove = 10_000;
const sweepMs = 1_000;
/** A caller is told to come later rather than held longer than this, so that waiting calls do not pile up. */
const longestWaitMs = 30_000;

/** What is remembered, counted. */
export interface CountedRateLimiter extends RateLimiter {
  addresses(): number;
}

export function createRateLimiter({ attestation, signing, clock }: RateLimitOptions): CountedRateLimiter {
  const always = { publish: true, status: true, fleet: true, service: true };
  const signs = { signX509: signing, signJwt: signing, signWit: signing };
  const enabled: Record<RateLimitName, boolean> = { attest: attestation, ...signs, ...always };
  const buckets = new Map<string, Bucket>();
  let sweptAt = -Infinity;

  return {
    addresses: () => buckets.size,
    async admit(context, cost, what) {
      const limit = methodPolicies.get(context.method)?.limit;
      const { connection } = context;
      if (limit === undefined || !enabled[limit] || connection.transport === 'unix') return;
      const rate = rateLimits[limit];
      if (cost > rate) throw resourceExhausted(`${what}: rate (${cost}) exceeds burst size (${rate})`);
      const key = `${limit} ${hostOf(connection.address)}`;
      const longestMs = longestWait(context);
      const delay = take(key, rate, cost, longestMs);
      if (delay === undefined) {
        const limited = longestMs < longestWaitMs ? 'context deadline' : 'the longest wait';
        throw resourceExhausted(`${what}: rate: Wait(n=${cost}) would exceed ${limited}`);
      }
      if (delay > 0) await wait(delay, context.signal, () => giveBack(key, rate, cost));
    },
  };

  /** Takes the tokens, in advance if need be; the wait until they are earned, or undefined when that is too long (nothing is taken then). */
  function take(key: string, rate: number, cost: number, longestMs: number): number | undefined {
    const now = clock();
    const tokens = tokensAt(buckets.get(key) ?? { rate, tokens: rate, updatedAt: now }, now) - cost;
    const delay = tokens >= 0 ? 0 : Math.ceil((-tokens * 1000) / rate);
    if (delay > longestMs) return undefined;
    if (buckets.size >= sweepAbove && !buckets.has(key)) sweep(now);
    buckets.set(key, { rate, tokens, updatedAt: now });
    return delay;
  }

  /** Who has gone while it waited got nothing for its tokens. */
  function giveBack(key: string, rate: number, cost: number): void {
    const bucket = buckets.get(key);
    if (bucket !== undefined) bucket.tokens = Math.min(rate, bucket.tokens + cost);
  }

  function sweep(now: number): void {
    if (Math.abs(now - sweptAt) < sweepMs) return;
    sweptAt = now;
    for (const [key, bucket] of buckets) if (tokensAt(bucket, now) >= bucket.rate) buckets.delete(key);
  }
}

/** A clock that is set back takes nothing away. */
function tokensAt({ rate, tokens, updatedAt }: Bucket, now: number): number {
  return Math.min(rate, tokens + (Math.max(0, now - updatedAt) * rate) / 1000);
}

function longestWait({ deadline }: CallContext): number {
  return deadline === undefined ? longestWaitMs : Math.min(longestWaitMs, deadline - performance.now());
}

async function wait(ms: number, signal: AbortSignal, onAbort: () => void): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (cause) {
    onAbort();
    throw cause;
  }
}

/** `10.0.0.1` of `10.0.0.1:4242`, `::1` of `::1:4242`. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(':');
  return colon === -1 ? address : address.slice(0, colon);
}
