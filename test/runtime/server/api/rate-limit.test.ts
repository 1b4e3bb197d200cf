import { describe, expect, test } from 'vitest';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import type { Connection } from '../../../../runtime/rpc/connection.ts';
import { createRateLimiter } from '../../../../runtime/server/api/rate-limit.ts';
import { callOf, local } from './callers.ts';

const attest = '/spire.api.server.agent.v1.Agent/AttestAgent';
const batch = '/spire.api.server.svid.v1.SVID/BatchNewX509SVID';
const renew = '/spire.api.server.agent.v1.Agent/RenewAgent';
const downstreamCa = '/spire.api.server.svid.v1.SVID/NewDownstreamX509CA';
const jwt = '/spire.api.server.svid.v1.SVID/NewJWTSVID';
const wit = '/spire.api.server.svid.v1.SVID/BatchNewWITSVID';
const publishJwt = '/spire.api.server.bundle.v1.Bundle/PublishJWTAuthority';
const publishWit = '/spire.api.server.bundle.v1.Bundle/PublishWITAuthority';
const status = '/spire.api.server.agent.v1.Agent/PostStatus';
const from = (address: string): Connection => ({ transport: 'tcp', address, peerChain: [] });

function createLimiter(enabled = { attestation: true, signing: true }) {
  let now = 0;
  const limiter = createRateLimiter({ ...enabled, clock: () => now });
  const aborted = AbortSignal.abort(new Error('would wait'));
  return {
    advance: (ms: number) => void (now += ms),
    /** Whether the call goes on at once: a call that waits meets its aborted signal. */
    passes: async (method: string, connection: Connection, cost = 1): Promise<boolean> => {
      try {
        await limiter.admit(callOf(method, connection, aborted), cost, 'rejecting request');
        return true;
      } catch (error) {
        expect((error as Error).name).toBe('AbortError');
        return false;
      }
    },
    limiter,
  };
}

describe('a limit per address', () => {
  test('lets one attestation a second through', async () => {
    const { passes, advance } = createLimiter();
    expect(await passes(attest, from('10.0.0.1:1'))).toBe(true);
    expect(await passes(attest, from('10.0.0.1:2'))).toBe(false); // another port is no other client
    advance(2000);
    expect(await passes(attest, from('10.0.0.1:3'))).toBe(true);
  });

  test('counts each address for itself', async () => {
    const { passes } = createLimiter();
    expect(await passes(attest, from('10.0.0.1:1'))).toBe(true);
    expect(await passes(attest, from('10.0.0.2:1'))).toBe(true);
    expect(await passes(attest, from('::1:1'))).toBe(true);
  });

  test('counts each item of a batch', async () => {
    const { passes } = createLimiter();
    expect(await passes(batch, from('10.0.0.1:1'), 500)).toBe(true);
    expect(await passes(batch, from('10.0.0.1:1'), 1)).toBe(false);
  });

  test.each([
    ['what asks for X.509-SVIDs and for a CA', batch, [renew, downstreamCa], [jwt, wit]],
    ['what publishes keys', publishJwt, [publishWit], [batch]],
    ['tokens', jwt, [], [batch, renew, wit]],
  ])('is shared as in SPIRE: by %s', async (_, first, sharing, apart) => {
    const { passes } = createLimiter();
    expect(await passes(first, from('10.0.0.1:1'), 500)).toBe(true);
    for (const method of sharing) expect([method, await passes(method, from('10.0.0.1:1'))]).toEqual([method, false]);
    for (const method of apart) expect([method, await passes(method, from('10.0.0.1:1'))]).toEqual([method, true]);
  });

  test('refuses at once a call whose caller would not wait so long', async () => {
    const { limiter, passes } = createLimiter();
    expect(await passes(attest, from('10.0.0.1:1'))).toBe(true);
    const context = callOf(attest, from('10.0.0.1:1'), undefined, performance.now() + 500);
    await expect(limiter.admit(context, 1, 'rejecting request')).rejects.toMatchObject({
      code: statusCode.RESOURCE_EXHAUSTED,
      message: 'rejecting request: rate: Wait(n=1) would exceed context deadline',
    });
  });

  test('gives the tokens back of a caller that went away while it waited', async () => {
    const { passes, advance } = createLimiter();
    expect(await passes(attest, from('10.0.0.1:1'))).toBe(true);
    for (let call = 0; call < 5; call += 1) expect(await passes(attest, from('10.0.0.1:1'))).toBe(false);
    advance(1000);
    expect(await passes(attest, from('10.0.0.1:1'))).toBe(true);
  });

  test('forgets addresses that have not called for long, whether they waited or not', async () => {
    let now = 0;
    const limiter = createRateLimiter({ attestation: true, signing: true, clock: () => now });
    const over = new AbortController();
    const call = (host: string) => limiter.admit(callOf(attest, from(`${host}:1`), over.signal), 1, 'x');
    const waiting: Promise<unknown>[] = [];
    for (let address = 0; address < 10_000; address += 1) {
      await call(`10.0.${address >> 8}.${address & 255}`);
      waiting.push(call(`10.0.${address >> 8}.${address & 255}`));
    }
    expect(limiter.addresses()).toBe(10_000);
    now += 10_000;
    await call('10.1.0.1');
    expect(limiter.addresses()).toBe(1);
    over.abort();
    await Promise.allSettled(waiting);
  });

  test('refuses at once a batch that no wait would let through', async () => {
    const { limiter } = createLimiter();
    await expect(
      limiter.admit(
        callOf(batch, from('10.0.0.1:1')),
        501,
        'rejecting request due to certificate signing rate limiting',
      ),
    ).rejects.toMatchObject({
      code: statusCode.RESOURCE_EXHAUSTED,
      message: 'rejecting request due to certificate signing rate limiting: rate (501) exceeds burst size (500)',
    });
  });

  test('refuses a call that would have to wait half a minute', async () => {
    const { passes, limiter } = createLimiter();
    expect(await passes(attest, from('10.0.0.1:1'))).toBe(true);
    // They wait as long as the test.
    const over = new AbortController();
    const waiting = Array.from({ length: 30 }, () =>
      limiter.admit(callOf(attest, from('10.0.0.1:1'), over.signal), 1, 'x'),
    );
    await expect(limiter.admit(callOf(attest, from('10.0.0.1:1')), 1, 'x')).rejects.toMatchObject({
      code: statusCode.RESOURCE_EXHAUSTED,
    });
    over.abort();
    await Promise.allSettled(waiting);
  });

  test('is not made stricter by a clock that is set back', async () => {
    const { passes, advance } = createLimiter();
    expect(await passes(batch, from('10.0.0.1:1'), 10)).toBe(true);
    advance(-3_600_000);
    expect(await passes(batch, from('10.0.0.1:1'), 10)).toBe(true);
  });

  test('does not bind the private socket', async () => {
    const { passes } = createLimiter();
    for (let call = 0; call < 5; call += 1) expect(await passes(attest, local)).toBe(true);
  });
});

describe('a limit that is switched off', () => {
  test('lets everything through', async () => {
    const { passes } = createLimiter({ attestation: false, signing: false });
    for (let call = 0; call < 5; call += 1) expect(await passes(attest, from('10.0.0.1:1'))).toBe(true);
    expect(await passes(batch, from('10.0.0.1:1'), 100_000)).toBe(true);
  });

  test('leaves the limit of PostStatus on', async () => {
    const { passes } = createLimiter({ attestation: false, signing: false });
    expect(await passes(status, from('10.0.0.1:1'), 10)).toBe(true);
    expect(await passes(status, from('10.0.0.1:1'))).toBe(false);
  });
});
