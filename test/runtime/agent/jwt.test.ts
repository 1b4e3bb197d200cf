// JWT-SVIDs and bundles over the Workload API, against a small server.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { callMetadata, startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

const mine = `unix:uid:${process.getuid?.() ?? 0}`;
const metadata = callMetadata;
const workload = { path: '/workload', selectors: [mine] };
let server: FakeSpireServer;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startFakeSpireServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  server.setEntries(workload);
  agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken: server.createToken() });
  await agent.serving();
});
afterEach(() => agent.remove());

async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) return message;
  throw new Error('stream ended');
}

async function fetchToken(...audience: string[]): Promise<string> {
  const { svids } = await agent.api.fetchJwtsvid({ audience, spiffeId: '' }, { metadata });
  return svids[0]!.svid;
}

describe('FetchJWTSVID', () => {
  it('gives a token that the agent itself finds valid', async () => {
    const svid = await fetchToken('db');
    const { spiffeId, claims } = await agent.api.validateJwtsvid({ audience: 'db', svid }, { metadata });
    expect(spiffeId).toBe('spiffe://example.org/workload');
    expect(claims).toMatchObject({ sub: 'spiffe://example.org/workload', aud: ['db'] });
  });

  it('gives the same token again for the same audience, in any order', async () => {
    expect(await fetchToken('a', 'b')).toBe(await fetchToken('b', 'a'));
    expect(await fetchToken('a')).not.toBe(await fetchToken('b'));
  });

  it('gives a new token each time where the entry asks for a JTI', async () => {
    server.setEntries({ ...workload, id: 'jti', includeJti: true });
    await expect.poll(async () => (await fetchToken('a')) === (await fetchToken('a'))).toBe(false);
  });

  it('refuses a call without audience', async () => {
    await expect(agent.api.fetchJwtsvid({ audience: [], spiffeId: '' }, { metadata })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'audience must be specified',
    });
  });

  it('refuses a malformed SPIFFE ID', async () => {
    const request = { audience: ['a'], spiffeId: 'spiffe://example.org/a/../b' };
    await expect(agent.api.fetchJwtsvid(request, { metadata })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
    });
  });

  it("refuses somebody else's SPIFFE ID", async () => {
    const request = { audience: ['a'], spiffeId: 'spiffe://example.org/other' };
    await expect(agent.api.fetchJwtsvid(request, { metadata })).rejects.toMatchObject({
      code: statusCode.PERMISSION_DENIED,
      message: 'no identity issued',
    });
  });
});

describe('ValidateJWTSVID', () => {
  it.each([
    ['another audience', () => fetchToken('a'), 'b'],
    ['a changed token', async () => (await fetchToken('a')).replace(/.....$/, 'AAAAA'), 'a'],
    ['a token of a key that the bundle does not have', () => Promise.resolve(stranger()), 'a'],
    ['something that is no token', () => Promise.resolve('x.y'), 'a'],
  ])('refuses %s', async (_name, make, audience) => {
    await expect(agent.api.validateJwtsvid({ audience, svid: await make() }, { metadata })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
    });
  });
});

function stranger(): string {
  const authority = createFakeAuthority(server.trustDomain);
  return authority.signJwt(createSpiffeId(server.trustDomain, '/workload'), ['a']).token;
}

describe('bundles', () => {
  it('FetchJWTBundles gives a plain JWK set', async () => {
    const { bundles } = await first(agent.api.fetchJwtBundles({}, { metadata }));
    const { keys } = JSON.parse(Buffer.from(bundles['spiffe://example.org']!).toString()) as { keys: object[] };
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([['crv', 'kid', 'kty', 'x', 'y']]);
  });

  it('FetchX509Bundles gives the authorities', async () => {
    const { bundles } = await first(agent.api.fetchX509Bundles({}, { metadata }));
    expect(Object.keys(bundles)).toEqual(['spiffe://example.org']);
    expect(Buffer.from(bundles['spiffe://example.org']!)).toEqual(Buffer.concat(server.authority.roots()));
  });

  it('are not for a process without identity', async () => {
    server.setEntries();
    await expect
      .poll(() => first(agent.api.fetchX509Bundles({}, { metadata })).catch((error: unknown) => error))
      .toMatchObject({ code: statusCode.PERMISSION_DENIED });
    await expect(first(agent.api.fetchJwtBundles({}, { metadata }))).rejects.toMatchObject({
      code: statusCode.PERMISSION_DENIED,
    });
  });
});
