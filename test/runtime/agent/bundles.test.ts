// Bundles on their way from the server into workloads' open streams, and what may come in between.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { callMetadata as metadata, startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

const selectors = [`unix:uid:${process.getuid?.() ?? 0}`];
const own = 'spiffe://example.org';
const other = 'spiffe://other.test';
const others = createFakeAuthority(parseTrustDomain('other.test'));
let server: FakeSpireServer;
let agent: RunningAgent;

beforeEach(async () => {
  server = await startFakeSpireServer();
});
afterEach(async () => {
  await agent.remove();
  await server.close();
});

async function start(): Promise<void> {
  agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken: server.createToken() });
  await agent.serving();
}

it('a new root reaches every kind of stream that is open, once', async () => {
  server.setEntries({ path: '/workload', selectors });
  await start();
  const leaving = new AbortController();
  const { signal } = leaving;
  const streams = {
    svids: agent.api.fetchX509Svid({}, { metadata, signal })[Symbol.asyncIterator](),
    x509: agent.api.fetchX509Bundles({}, { metadata, signal })[Symbol.asyncIterator](),
    jwt: agent.api.fetchJwtBundles({}, { metadata, signal })[Symbol.asyncIterator](),
  };
  await Promise.all([streams.svids.next(), streams.x509.next(), streams.jwt.next()]);
  server.authority.addRoot();
  const roots = Buffer.concat(server.authority.roots());
  const [svids, x509] = await Promise.all([streams.svids.next(), streams.x509.next()]);
  expect(Buffer.from((svids.value as { svids: { bundle: Uint8Array }[] }).svids[0]!.bundle)).toEqual(roots);
  expect(Buffer.from((x509.value as { bundles: Record<string, Uint8Array> }).bundles[own]!)).toEqual(roots);
  const jwt = streams.jwt.next().then(() => 'news');
  const nothing = new Promise((resolve) => setTimeout(() => resolve('nothing new'), 500));
  expect(await Promise.race([jwt, nothing])).toBe('nothing new');
  leaving.abort();
  await jwt.catch(() => undefined);
});

it('a federated bundle comes with the entry, and changes with the other trust domain', async () => {
  server.state.federated.set('other.test', others.bundle());
  server.setEntries({ path: '/workload', selectors, federatesWith: ['other.test'] });
  await start();
  const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
  const next = async () =>
    ((await stream.next()).value as { federatedBundles: Record<string, Uint8Array> }).federatedBundles;
  expect(Object.keys(await next())).toEqual([other]);
  others.addRoot();
  server.state.federated.set('other.test', others.bundle());
  expect(Buffer.from((await next())[other]!)).toEqual(Buffer.concat(others.roots()));
  await stream.return?.();
});

it.each([
  ['that does not parse', { x509Authorities: [{ asn1: new Uint8Array([1, 2, 3]), tainted: false }] }],
  ['of another trust domain', { trustDomain: 'example.org' }],
])('a federated bundle %s keeps nobody from an SVID, and replaces nothing', async (_, fault) => {
  server.state.federated.set('other.test', others.bundle());
  server.setEntries({ path: '/workload', selectors, federatesWith: ['other.test'] });
  await start();
  const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
  await stream.next();
  server.state.federated.set('other.test', { ...others.bundle(), ...fault });
  await expect.poll(() => agent.lines.some((line) => line.includes('malformed federated bundle'))).toBe(true);
  server.setEntries(
    { path: '/workload', selectors, federatesWith: ['other.test'] },
    { path: '/new', selectors, federatesWith: ['other.test'] },
  );
  const { value } = (await stream.next()) as {
    value: { svids: unknown[]; federatedBundles: Record<string, Uint8Array> };
  };
  expect(value.svids).toHaveLength(2);
  expect(Buffer.from(value.federatedBundles[other]!)).toEqual(Buffer.concat(others.roots()));
  await stream.return?.();
});

it('an authority that is tainted while the agent attests again is noticed', async () => {
  server.state.reattestable = true;
  server.state.agentTtl = 2_000; // it begins 10 s before now: each turn begins with an attestation, which brings the bundle
  server.setEntries({ path: '/workload', selectors });
  await start();
  const stream = agent.api.fetchX509Svid({}, { metadata })[Symbol.asyncIterator]();
  await stream.next();
  server.authority.addRoot();
  server.authority.taintAllButNewest();
  const newest = parseCertificate(server.authority.roots().at(-1)!).subjectKeyId!;
  await expect
    .poll(async () => {
      const { value } = (await stream.next()) as { value: { svids: { x509Svid: Uint8Array }[] } };
      return Buffer.from(parseCertificate(value.svids[0]!.x509Svid).authorityKeyId!).equals(newest);
    })
    .toBe(true);
  await stream.return?.();
});
