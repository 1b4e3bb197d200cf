// The whole agent against a small server: what a workload gets over the socket, and what it does not get.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { callMetadata, startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

const mine = `unix:uid:${process.getuid?.() ?? 0}`;
const metadata = callMetadata;
let server: FakeSpireServer;
let agent: RunningAgent;

beforeAll(async () => {
  server = await startFakeSpireServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  server.setEntries({ path: '/workload', selectors: [mine] });
  agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken: server.createToken() });
  await agent.serving();
});
afterEach(() => agent.remove());

async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) return message;
  throw new Error('stream ended');
}

describe('FetchX509SVID', () => {
  it('gives the SVID, its key and the bundle', async () => {
    const { svids, federatedBundles } = await first(agent.api.fetchX509Svid({}, { metadata }));
    expect(svids.map(({ spiffeId, hint }) => ({ spiffeId, hint }))).toEqual([
      { spiffeId: 'spiffe://example.org/workload', hint: '' },
    ]);
    expect(parseCertificate(svids[0]!.x509Svid).uris).toEqual(['spiffe://example.org/workload']);
    expect(Buffer.from(svids[0]!.bundle)).toEqual(Buffer.from(server.authority.roots()[0]!));
    expect(federatedBundles).toEqual({});
  });

  it('refuses a process that no entry matches', async () => {
    server.setEntries({ path: '/workload', selectors: ['unix:uid:4242'] });
    await expect
      .poll(() => first(agent.api.fetchX509Svid({}, { metadata })).catch((error: unknown) => error))
      .toMatchObject({
        code: statusCode.PERMISSION_DENIED,
        message: 'no identity issued',
      });
  });

  it('refuses a process that has only some of the selectors', async () => {
    server.setEntries({ path: '/workload', selectors: [mine, 'unix:path:/none'] });
    await expect
      .poll(() => first(agent.api.fetchX509Svid({}, { metadata })).catch((error: unknown) => error))
      .toMatchObject({
        code: statusCode.PERMISSION_DENIED,
      });
  });

  it.each([{}, { 'workload.spiffe.io': 'false' }, { 'workload.spiffe.io': 'True' }])(
    'refuses a call with the metadata %j',
    async (wrong) => {
      await expect(first(agent.api.fetchX509Svid({}, { metadata: wrong }))).rejects.toMatchObject({
        code: statusCode.INVALID_ARGUMENT,
        message: 'security header missing from request',
      });
    },
  );

  it('pushes a new identity into a stream that is open', async () => {
    const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
    await stream.next();
    server.setEntries({ path: '/workload', selectors: [mine] }, { path: '/other', selectors: [mine] });
    const { value } = (await stream.next()) as { value: { svids: { spiffeId: string }[] } };
    expect(value.svids.map(({ spiffeId }) => spiffeId)).toEqual([
      'spiffe://example.org/other',
      'spiffe://example.org/workload',
    ]);
    await stream.return?.();
  });

  it('pushes a new authority into a stream that is open', async () => {
    const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
    await stream.next();
    server.authority.addRoot();
    const { value } = (await stream.next()) as { value: { svids: { bundle: Uint8Array }[] } };
    expect(Buffer.from(value.svids[0]!.bundle)).toEqual(Buffer.concat(server.authority.roots()));
    await stream.return?.();
  });

  it('ends a stream whose last identity is taken away', async () => {
    const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
    await stream.next();
    server.setEntries();
    await expect(stream.next()).rejects.toMatchObject({
      code: statusCode.PERMISSION_DENIED,
      message: 'no identity issued',
    });
  });

  it('gives the other identities where the server refuses to sign one', async () => {
    server.state.refusesToSign.add('bad');
    server.setEntries({ path: '/workload', selectors: [mine] }, { id: 'bad', path: '/bad', selectors: [mine] });
    await expect.poll(() => agent.lines.some((line) => line.includes('Failed to sign'))).toBe(true);
    const { svids } = await first(agent.api.fetchX509Svid({}, { metadata }));
    expect(svids.map(({ spiffeId }) => spiffeId)).toEqual(['spiffe://example.org/workload']);
  });

  it('gives a hint to the oldest entry only', async () => {
    server.setEntries(
      { path: '/young', selectors: [mine], hint: 'h', createdAt: 2 },
      { path: '/old', selectors: [mine], hint: 'h', createdAt: 1 },
    );
    await expect
      .poll(async () => (await first(agent.api.fetchX509Svid({}, { metadata }))).svids.map(({ spiffeId }) => spiffeId))
      .toEqual(['spiffe://example.org/old']);
  });

  it('signs anew when an entry has a new revision', async () => {
    const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
    const before = (await stream.next()).value as { svids: { x509Svid: Uint8Array }[] };
    server.setEntries({ path: '/workload', selectors: [mine], revisionNumber: 1, hint: 'new' });
    await expect
      .poll(async () => {
        const { value } = (await stream.next()) as { value: { svids: { x509Svid: Uint8Array; hint: string }[] } };
        const [svid] = value.svids;
        return svid!.hint === 'new' && !Buffer.from(svid!.x509Svid).equals(before.svids[0]!.x509Svid);
      })
      .toBe(true);
    await stream.return?.();
  });

  it.each([
    ['is tainted', () => server.authority.taintAllButNewest()],
    ['is gone before its taint was seen', () => server.authority.dropAllButNewest()],
  ])('replaces an SVID whose authority %s', async (_, distrust) => {
    const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
    await stream.next();
    server.authority.addRoot();
    distrust();
    const newest = parseCertificate(server.authority.roots().at(-1)!).subjectKeyId!;
    await expect
      .poll(async () => {
        const { value } = (await stream.next()) as { value: { svids: { x509Svid: Uint8Array }[] } };
        return Buffer.from(parseCertificate(value.svids[0]!.x509Svid).authorityKeyId!).equals(newest);
      })
      .toBe(true);
    server.authority.dropAllButNewest();
    await stream.return?.();
  });
});
