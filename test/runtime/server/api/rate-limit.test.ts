import { describe, expect, test } from 'vitest';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import type { Connection } from '../../../../runtime/rpc/connection.ts';
import { createRateLimiter } from '../../../../runtime/server/api/rate-limit.ts';
import { callOf, local } from './callers.ts';

const attest = '/spire.api.server.agent.v1.Agent/AttestAgent';
const batch = '/spire.api.server.svid.v1.SVID/BatchNewX509SVID';
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
    for (let call = 0; call < 31; call += 1) await passes(attest, from('10.0.0.1:1'));
    await expect(limiter.admit(callOf(attest, from('10.0.0.1:1')), 1, 'x')).rejects.toMatchObject({
      code: statusCode.RESOURCE_EXHAUSTED,
    });
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
