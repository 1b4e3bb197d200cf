// The agent's JWT-SVIDs: when the server is asked, what is kept for how long, and what is given out while the server is away.
import { beforeEach, describe, expect, it } from 'vitest';
import { createJwtSvids } from '../../../runtime/agent/cache/jwt-svids.ts';
import type { JwtSvids } from '../../../runtime/agent/cache/jwt-svids.ts';
import type { AgentEntry } from '../../../runtime/agent/sync/entry.ts';
import { createLog } from '../../../runtime/log.ts';
import { unavailable } from '../../../runtime/rpc/status.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';

const trustDomain = parseTrustDomain('example.org');
const { signal } = new AbortController();
const entry = (id: string, more: Partial<AgentEntry> = {}) =>
  ({
    id,
    spiffeId: createSpiffeId(trustDomain, '/w'),
    revisionNumber: 0,
    jwtSvidIncludeJti: false,
    ...more,
  }) as AgentEntry;
const lifetimeMs = 300_000;

let now: number;
let asked: number;
let isAway: boolean;
let svids: JwtSvids;
let keyId: string;

beforeEach(() => {
  [now, asked, isAway, keyId] = [1_000_000, 0, false, 'key-1'];
  const client = {
    newJwtsvid() {
      if (isAway) return Promise.reject(unavailable('server is away'));
      asked += 1;
      const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: keyId })).toString('base64url');
      const token = `${header}.${asked}.signature`;
      return Promise.resolve({ svid: { token, issuedAt: now / 1000, expiresAt: (now + lifetimeMs) / 1000 } });
    },
  };
  svids = jwtSvidsOn(client);
});

function jwtSvidsOn(client: object): JwtSvids {
  return createJwtSvids({
    client: () => client as ReturnType<Parameters<typeof createJwtSvids>[0]['client']>,
    maxSize: 2,
    renewalTimeoutMs: 1000,
    policy: { random: () => 0.5, availabilityTargetMs: 0 },
    clock: () => now,
    log: createLog({ level: 'error', format: 'text', write: () => undefined }),
  });
}

const tokenOf = async (one: AgentEntry, ...audience: string[]) => (await svids.fetch(one, audience, signal)).token;

describe('a token is given again', () => {
  it('until half of its life is over', async () => {
    const first = await tokenOf(entry('a'), 'x');
    now += lifetimeMs / 2 - 1;
    expect(await tokenOf(entry('a'), 'x')).toBe(first);
    now += 1;
    expect(await tokenOf(entry('a'), 'x')).not.toBe(first);
  });

  it('while the server is away, until it ends', async () => {
    const first = await tokenOf(entry('a'), 'x');
    isAway = true;
    now += lifetimeMs - 1;
    expect(await tokenOf(entry('a'), 'x')).toBe(first);
    now += 1;
    await expect(tokenOf(entry('a'), 'x')).rejects.toThrow('server is away');
  });

  it('for the same audiences in any order', async () => {
    expect(await tokenOf(entry('a'), 'x', 'y')).toBe(await tokenOf(entry('a'), 'y', 'x'));
  });
});

describe('the server is asked', () => {
  it.each<[string, AgentEntry, string[]]>([
    ['for another audience', entry('a'), ['y']],
    ['for one audience that is named as two are', entry('a'), ['x,y']],
    ['for another entry with the same ID', entry('b'), ['x']],
    ['for the entry as it is now', entry('a', { revisionNumber: 1 }), ['x']],
    ['where each token is to be a new one', entry('a', { jwtSvidIncludeJti: true }), ['x']],
  ])('%s', async (_, other, audience) => {
    const first = await tokenOf(entry('a'), 'x');
    expect(await tokenOf(other, ...audience)).not.toBe(first);
    expect(asked).toBe(2);
  });
});

describe('kept are', () => {
  it('as many as may be: the one that was asked for last stays', async () => {
    const [first] = [await tokenOf(entry('a'), 'x'), await tokenOf(entry('b'), 'x')];
    await tokenOf(entry('a'), 'x');
    await tokenOf(entry('c'), 'x');
    expect(svids.count()).toBe(2);
    expect(await tokenOf(entry('a'), 'x')).toBe(first);
    expect(asked).toBe(3);
  });

  it('none whose key is tainted', async () => {
    const tainted = await tokenOf(entry('a'), 'x');
    keyId = 'key-2';
    const good = await tokenOf(entry('b'), 'x');
    expect(svids.forgetSignedBy(new Set(['key-1']))).toBe(1);
    expect(await tokenOf(entry('b'), 'x')).toBe(good);
    expect(await tokenOf(entry('a'), 'x')).not.toBe(tainted);
  });
});

it.each([
  ['no token', { token: '', issuedAt: 1000, expiresAt: 2000 }, 'server sent no JWT-SVID'],
  ['nothing', undefined, 'server sent no JWT-SVID'],
  ['one that has ended', { token: 'a.b.c', issuedAt: 1, expiresAt: 2 }, 'server sent a JWT-SVID that has expired'],
])('a server that sends %s is not believed', async (_, svid, message) => {
  const client = { newJwtsvid: () => Promise.resolve({ svid }) };
  const believing = jwtSvidsOn(client);
  await expect(believing.fetch(entry('a'), ['x'], signal)).rejects.toThrow(message);
  expect(believing.count()).toBe(0);
});
