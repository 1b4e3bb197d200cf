// JWT-SVIDs and bundles over the Workload API, against a small server.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
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

  it('is in the debug log in SPIRE’s words, as is FetchX509SVID, without what was given', async () => {
    const token = await fetchToken('db');
    for await (const { svids } of agent.api.fetchX509Svid({}, { metadata })) if (svids.length > 0) break;
    const lines = agent.lines.filter((line) => line.includes('msg="Fetched '));
    const fields = (method: string) =>
      new RegExp(
        `level=debug msg="Fetched .* SVID" method=${method} pid=${process.pid} registered=true service=WorkloadAPI spiffe_id="spiffe://example.org/workload" .*ttl=[0-9.]+`,
      );
    expect(lines).toEqual([
      expect.stringMatching(fields('FetchJWTSVID')),
      expect.stringMatching(fields('FetchX509SVID')),
    ]);
    expect(agent.lines.join('')).not.toContain(token);
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
  it.each<[string, () => Promise<string> | string, string | RegExp]>([
    ['another audience', () => fetchToken('b', 'c'), 'expected audience in ["a"] (audience=["b" "c"])'],
    [
      'a changed token',
      async () => (await fetchToken('a')).replace(/.....$/, 'AAAAA'),
      /^(?:go-jose\/go-jose: error in cryptographic primitive|unable to parse JWT token: token's signature is not base64url)$/,
    ],
    [
      'a token of a key that the bundle does not have',
      () => stranger(),
      /^public key "[0-9a-f-]{36}" not found in trust domain "example\.org"$/,
    ],
    ['a token of another trust domain', () => foreigner(), 'no keys found for trust domain "elsewhere.org"'],
    [
      'something that is no token',
      () => 'x.y',
      'unable to parse JWT token: go-jose/go-jose: compact JWS format must have three parts',
    ],
    ['a token without subject', () => token({ kid: 'k' }, { aud: 'a' }), 'token missing subject claim'],
    [
      'a subject that is no ID',
      () => token({ kid: 'k' }, { sub: 'somebody' }),
      'token has in invalid subject claim: scheme is missing or invalid',
    ],
    ['no key ID', () => token({}, { sub: 'spiffe://example.org/w' }), 'token header missing key id'],
    [
      'an algorithm with a shared secret',
      () => token({ kid: 'k', alg: 'HS256' }, { sub: 'spiffe://example.org/w' }),
      'unable to parse JWT token: unexpected signature algorithm "HS256"; expected ["ES256" "ES384" "ES512" "RS256" "RS384" "RS512" "PS256" "PS384" "PS512"]',
    ],
    ['no audience', () => signed({ aud: undefined }), 'expected audience in ["a"] (audience=[])'],
    ['an end that has passed', () => signed({ exp: 1_000 }), 'token has expired'],
    ['no end', () => signed({ exp: undefined }), 'token missing exp claim'],
    [
      'a beginning to come',
      () => signed({ nbf: later() }),
      'go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)',
    ],
    [
      'a signature to come',
      () => signed({ iat: later() }),
      'go-jose/go-jose/jwt: validation field, token issued in the future (iat)',
    ],
  ])('refuses %s', async (_name, make, message) => {
    const refused = await agent.api
      .validateJwtsvid({ audience: 'a', svid: await make() }, { metadata })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: statusCode.INVALID_ARGUMENT });
    const told = (refused as Error).message;
    if (typeof message === 'string') expect(told).toBe(message);
    else expect(told).toMatch(message);
  });
});

const later = () => Math.floor(Date.now() / 1000) + 3_600;

/** Not signed by anybody. */
function token(header: object, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'ES256', typ: 'JWT', ...header })}.${part(claims)}.${'A'.repeat(86)}`;
}

/** By the authority of the bundle, with claims changed. */
function signed(changes: Readonly<Record<string, unknown>>): string {
  const id = createSpiffeId(server.trustDomain, '/workload');
  return server.authority.signJwt(id, ['a'], undefined, changes).token;
}

function foreigner(): string {
  const elsewhere = parseTrustDomain('elsewhere.org');
  return createFakeAuthority(elsewhere).signJwt(createSpiffeId(elsewhere, '/workload'), ['a']).token;
}

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
