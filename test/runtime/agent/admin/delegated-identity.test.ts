// Delegated identities over the admin socket: who is refused, and what a delegate gets for whom.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DelegatedIdentityService } from '../../../../proto/gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import { parseCertificate } from '../../../../runtime/pki/certificate.ts';
import { connect, createClient } from '../../../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../../../runtime/rpc/client.ts';
import type { Client } from '../../../../runtime/rpc/service.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../../support/fake-authority.ts';
import { startFakeSpireServer } from '../../../support/fake-spire-server.ts';
import type { FakeEntry, FakeSpireServer } from '../../../support/fake-spire-server.ts';
import { startAgent } from '../../../support/run-agent.ts';
import type { RunningAgent } from '../../../support/run-agent.ts';

const mine = `unix:uid:${process.getuid?.() ?? 0}`;
const delegate: FakeEntry = { path: '/delegate', selectors: [mine] };
const web: FakeEntry = { path: '/web', selectors: ['docker:label:web'], hint: 'w', federatesWith: ['other.test'] };
const webSelectors = [{ type: 'docker', value: 'label:web' }];
const others = createFakeAuthority(parseTrustDomain('other.test'));
let server: FakeSpireServer;
let agent: RunningAgent;
let channel: RpcChannel;
let api: Client<typeof DelegatedIdentityService>;

beforeAll(async () => {
  server = await startFakeSpireServer();
  server.state.federated.set('other.test', others.bundle());
});
afterAll(() => server.close());
beforeEach(() => server.setEntries(delegate, web));
afterEach(async () => {
  channel.close();
  await agent.remove();
});

async function start(settings = 'authorized_delegates = ["spiffe://example.org/delegate"]'): Promise<void> {
  const [bundlePem, joinToken] = [server.bundlePem(), server.createToken()];
  agent = await startAgent({ port: server.port, bundlePem, joinToken, settings, hasAdminSocket: true });
  await agent.serving();
  channel = connect({ unixPath: agent.adminSocketPath });
  api = createClient(DelegatedIdentityService, channel);
}

async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) return message;
  throw new Error('stream ended');
}

const byPid = (pid: number) => ({ pid, selectors: [] });
const bySelectors = (selectors: { type: string; value: string }[]) => ({ pid: 0, selectors });
const calls: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['SubscribeToX509SVIDs', () => first(api.subscribeToX509SviDs(bySelectors(webSelectors)))],
  ['SubscribeToX509Bundles', () => first(api.subscribeToX509Bundles({}))],
  ['FetchJWTSVIDs', () => api.fetchJwtsviDs({ ...bySelectors(webSelectors), audience: ['a'] })],
  ['SubscribeToJWTBundles', () => first(api.subscribeToJwtBundles({}))],
];

describe('a caller is refused', () => {
  it.each(calls)('%s: without an identity', async (_, call) => {
    server.setEntries(web);
    await start();
    await expect(call()).rejects.toMatchObject({ code: statusCode.PERMISSION_DENIED, message: 'no identity issued' });
  });

  it.each(calls)('%s: with an identity that is no delegate’s', async (_, call) => {
    await start('authorized_delegates = ["spiffe://example.org/other"]');
    await expect(call()).rejects.toMatchObject({
      code: statusCode.PERMISSION_DENIED,
      message: 'caller not configured as an authorized delegate',
    });
  });

  it('where nobody is a delegate', async () => {
    await start('');
    await expect(calls[1]![1]()).rejects.toMatchObject({ code: statusCode.PERMISSION_DENIED });
  });

  it('at the next change once it is no delegate any more', async () => {
    await start();
    const stream = api.subscribeToX509SviDs(bySelectors(webSelectors))[Symbol.asyncIterator]();
    await stream.next();
    server.setEntries({ ...delegate, path: '/demoted' }, { ...web, revisionNumber: 1 });
    await expect(
      (async () => {
        for (;;) await stream.next();
      })(),
    ).rejects.toMatchObject({ message: 'caller not configured as an authorized delegate' });
  });
});

describe('a delegate is refused', () => {
  const both = 'must provide either selectors or non-zero PID, but not both';
  it.each([
    [{ pid: 1, selectors: webSelectors }, both],
    [{ pid: 0, selectors: [] }, both],
    [bySelectors([{ type: '', value: 'x' }]), 'could not parse provided selectors'],
    [bySelectors([{ type: 'a:b', value: 'x' }]), 'could not parse provided selectors'],
    [bySelectors([{ type: 'a', value: '' }]), 'could not parse provided selectors'],
  ])('for %j', async (workload, message) => {
    await start();
    const refused = { code: statusCode.INVALID_ARGUMENT, message };
    await expect(first(api.subscribeToX509SviDs(workload))).rejects.toMatchObject(refused);
    await expect(api.fetchJwtsviDs({ ...workload, audience: ['a'] })).rejects.toMatchObject(refused);
  });

  it('a process that is gone', async () => {
    await start();
    const refused = { code: statusCode.UNAVAILABLE, message: 'workload attestation failed' };
    await expect(first(api.subscribeToX509SviDs(byPid(2 ** 22 + 1)))).rejects.toMatchObject(refused);
  });

  it('a JWT-SVID without an audience, before anybody asks who calls', async () => {
    await start('');
    await expect(api.fetchJwtsviDs({ ...bySelectors(webSelectors), audience: [] })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'audience must be specified',
    });
  });

  it('JWT-SVIDs of admins, of downstream servers and of nobody', async () => {
    server.setEntries(delegate, { ...web, admin: true }, { ...web, id: 'below', path: '/below', downstream: true });
    await start();
    const refused = { code: statusCode.PERMISSION_DENIED, message: 'no identity issued' };
    for (const selectors of [webSelectors, [{ type: 'docker', value: 'label:none' }]])
      await expect(api.fetchJwtsviDs({ ...bySelectors(selectors), audience: ['a'] })).rejects.toMatchObject(refused);
  });
});

describe('a delegate gets', () => {
  let child: ChildProcess | undefined;
  afterEach(() => child?.kill('SIGKILL'));

  it('X.509-SVIDs for selectors, with their keys, and whom they federate with', async () => {
    await start();
    const { x509Svids, federatesWith } = await first(api.subscribeToX509SviDs(bySelectors(webSelectors)));
    expect(federatesWith).toEqual(['spiffe://other.test']);
    expect(x509Svids).toHaveLength(1);
    const { x509Svid, x509SvidKey } = x509Svids[0]!;
    const leaf = parseCertificate(x509Svid!.certChain[0]!);
    expect({ ...x509Svid, certChain: leaf.uris }).toEqual({
      id: { trustDomain: 'example.org', path: '/web' },
      certChain: ['spiffe://example.org/web'],
      expiresAt: leaf.notAfter / 1000,
      hint: 'w',
    });
    const key = createPrivateKey({ key: Buffer.from(x509SvidKey), format: 'der', type: 'pkcs8' });
    expect(key.asymmetricKeyType).toBe('ec');
  });

  it('X.509-SVIDs for a process, attested here', async () => {
    server.setEntries({ path: '/delegate', selectors: [mine] });
    await start();
    child = spawn('sleep', ['60']);
    const { x509Svids } = await first(api.subscribeToX509SviDs(byPid(child.pid!)));
    expect(x509Svids.map(({ x509Svid }) => x509Svid!.id!.path)).toEqual(['/delegate']);
  });

  it('nothing, but no refusal, for selectors without an entry; and the SVID when there is one', async () => {
    server.setEntries(delegate);
    await start();
    const stream = api.subscribeToX509SviDs(bySelectors(webSelectors))[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ x509Svids: [], federatesWith: [] });
    server.setEntries(delegate, { ...web, federatesWith: [] });
    const { value } = (await stream.next()) as { value: { x509Svids: unknown[] } };
    expect(value.x509Svids).toHaveLength(1);
    await stream.return?.();
  });

  it('no X.509-SVIDs of admins and of downstream servers', async () => {
    server.setEntries(
      delegate,
      { ...web, id: 'a', admin: true },
      { ...web, id: 'b', path: '/b', downstream: true },
      { ...web, id: 'c', path: '/c' },
    );
    await start();
    const { x509Svids } = await first(api.subscribeToX509SviDs(bySelectors(webSelectors)));
    expect(x509Svids.map(({ x509Svid }) => x509Svid!.id!.path)).toEqual(['/c']);
  });

  it('JWT-SVIDs with their times', async () => {
    await start();
    const { svids } = await api.fetchJwtsviDs({ ...bySelectors(webSelectors), audience: ['a', 'b'] });
    const [svid] = svids;
    const claims = JSON.parse(Buffer.from(svid!.token.split('.')[1]!, 'base64url').toString()) as Record<
      string,
      unknown
    >;
    expect(svids).toEqual([
      {
        token: svid!.token,
        id: { trustDomain: 'example.org', path: '/web' },
        issuedAt: claims['iat'],
        expiresAt: claims['exp'],
        hint: 'w',
      },
    ]);
    expect(claims).toMatchObject({ sub: 'spiffe://example.org/web', aud: ['a', 'b'] });
  });

  it('every bundle, and again when one changes, comes or goes', async () => {
    server.setEntries(delegate);
    await start();
    const x509 = api.subscribeToX509Bundles({})[Symbol.asyncIterator]();
    const jwt = api.subscribeToJwtBundles({})[Symbol.asyncIterator]();
    const names = async () => [
      Object.keys(((await x509.next()).value as { caCertificates: object }).caCertificates),
      Object.keys(((await jwt.next()).value as { bundles: object }).bundles),
    ];
    const [own, both] = [['spiffe://example.org'], ['spiffe://example.org', 'spiffe://other.test']];
    expect(await names()).toEqual([own, own]);
    server.setEntries(delegate, web);
    expect(await names()).toEqual([both, both]);
    server.setEntries(delegate);
    expect(await names()).toEqual([own, own]);
    server.authority.addRoot();
    const { caCertificates } = (await x509.next()).value as { caCertificates: Record<string, Uint8Array> };
    expect(Buffer.from(caCertificates['spiffe://example.org']!)).toEqual(Buffer.concat(server.authority.roots()));
    await Promise.all([x509.return?.(), jwt.return?.()]);
  });
});
