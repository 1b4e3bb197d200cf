import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import type { TlsTarget } from '../../../runtime/rpc/client.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import type { RpcError } from '../../../runtime/rpc/status.ts';
import type { TlsListenerOptions } from '../../../runtime/rpc/tls-listener.ts';
import { clientVerifier, serverVerifier } from '../../../runtime/rpc/verify-peer.ts';
import type { SpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { createSpiffeId, serverId } from '../../../runtime/spiffe/spiffe-id.ts';
import { EchoService, echoServer } from './echo-service.ts';
import type { EchoClient } from './echo-service.ts';
import { createTestCa } from './test-ca.ts';

const clock = Date.now;
const host = '127.0.0.1';
const ca = createTestCa('example.org');
const foreign = createTestCa('foreign.test');
const server = ca.issue('/spire/server');
const agent = ca.issue('/spire/agent/x509pop/1');
const verifyPeer = clientVerifier({ roots: ca.roots, trustDomain: ca.trustDomain, clock });
const verifyServer = serverVerifier({ expectedId: serverId(ca.trustDomain), roots: ca.roots, clock });

/** A server that says who called. */
async function listen(options: Partial<TlsListenerOptions> = {}): Promise<AddressInfo> {
  const rpc = echoServer({
    async say(_request, { connection }) {
      if (connection.transport !== 'tcp') expect.fail('not over TCP');
      return { value: connection.peerId?.toString() ?? `anonymous, ${connection.peerChain.length} certificates` };
    },
  });
  return rpc.listenTls({ host, port: 0, credentials: () => server, verifyPeer, ...options });
}

function dial(port: number, options: Partial<TlsTarget> = {}): EchoClient {
  const channel = connect({ host, port, verifyServer, ...options });
  onTestFinished(() => channel.close());
  return createClient(EchoService, channel);
}

function failureOf(client: EchoClient): Promise<RpcError> {
  return client.say({ value: '' }, { deadlineMs: 20_000 }).then(
    ({ value }) => expect.fail(`answered ${value}`),
    (error: unknown) => error as RpcError,
  );
}

test('a client that shows an SVID is known by it', async () => {
  const { port } = await listen();
  const client = dial(port, { credentials: () => agent });
  expect(await client.say({ value: '' })).toEqual({ value: 'spiffe://example.org/spire/agent/x509pop/1' });
});

test('both ends send and verify whole chains, over two intermediates', async () => {
  const downstream = ca.downstream().downstream();
  const [ours, theirs] = [downstream.issue('/spire/server'), downstream.issue('/workload')];
  const chains: number[] = [];
  const { port } = await listen({
    credentials: () => ours,
    verifyPeer: (chain) => {
      chains.push(chain.length);
      return verifyPeer(chain);
    },
  });
  const client = dial(port, {
    credentials: () => theirs,
    verifyServer: (chain) => {
      chains.push(chain.length);
      return verifyServer(chain);
    },
  });
  expect(await client.say({ value: '' })).toEqual({ value: 'spiffe://example.org/workload' });
  expect(chains).toEqual([3, 3]);
});

test.each([
  [16, 'anonymous, 16 certificates'],
  [17, statusCode.UNAVAILABLE],
])('of a chain of %i certificates is to be heard: %s', async (length, outcome) => {
  let issuer = ca;
  for (let count = 1; count < length; count += 1) issuer = issuer.downstream();
  const svid = issuer.issue('/workload');
  const { port } = await listen({ verifyPeer: () => undefined });
  const client = dial(port, { credentials: () => svid });
  const heard = await client.say({ value: '' }).then(
    ({ value }) => value,
    (error: unknown) => (error as RpcError).code,
  );
  expect(heard).toBe(outcome);
});

test('a client that shows nothing is served as nobody', async () => {
  const { port } = await listen();
  expect(await dial(port).say({ value: '' })).toEqual({ value: 'anonymous, 0 certificates' });
});

test.for([
  ['of another trust domain', foreign.issue('/spire/agent/x509pop/1')],
  ['that is over', ca.issue('/spire/agent/x509pop/1', -60_000)],
])('a client with a certificate %s is refused', async ([, credentials]) => {
  const { port } = await listen();
  const failure = await failureOf(dial(port, { credentials: () => credentials as typeof agent }));
  expect(failure.code).toBe(statusCode.UNAVAILABLE);
});

test('a client is refused while no authority is known', async () => {
  const { port } = await listen({
    verifyPeer: clientVerifier({ roots: () => [], trustDomain: ca.trustDomain, clock }),
  });
  expect((await failureOf(dial(port, { credentials: () => agent }))).code).toBe(statusCode.UNAVAILABLE);
});

test.for([
  [
    'another ID',
    ca.issue('/workload'),
    'server is spiffe://example.org/workload, want spiffe://example.org/spire/server',
  ],
  ['another trust domain', foreign.issue('/spire/server'), 'is not of trust domain example.org'],
  ['the right ID by the wrong authority', createTestCa('example.org').issue('/spire/server'), ''],
  ['a certificate that is over', ca.issue('/spire/server', -60_000), ''],
] as const)('a server with %s is refused before a byte of HTTP/2 is sent', async ([, credentials, reason]) => {
  const received: Buffer[] = [];
  const { certificateChainPem: cert, privateKey } = credentials;
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const impostor = createTlsServer({ cert, key, ALPNProtocols: ['h2'] }, (socket) => {
    socket.on('data', (bytes: Buffer) => received.push(bytes)).on('error', () => undefined);
  });
  impostor.on('tlsClientError', () => undefined).listen(0, host);
  await once(impostor, 'listening');
  onTestFinished(() => void impostor.close());

  const closed = once(impostor, 'connection').then(([socket]) => once(socket as Socket, 'close'));
  const failure = await failureOf(dial((impostor.address() as AddressInfo).port));
  await closed;
  expect(failure.code).toBe(statusCode.UNAVAILABLE);
  expect(failure.message).toContain(reason);
  expect(Buffer.concat(received)).toHaveLength(0);
});

test('new connections of a server show the credentials of the day', async () => {
  let current = ca.issue('/workload/1');
  const { port } = await listen({ credentials: () => current });
  const seen: string[] = [];
  const verify = (path: string) =>
    serverVerifier({ expectedId: createSpiffeId(ca.trustDomain, path), roots: ca.roots, clock });
  await dial(port, { verifyServer: verify('/workload/1') }).say({ value: '' });
  current = ca.issue('/workload/2');
  await dial(port, { verifyServer: verify('/workload/2') }).say({ value: '' });
  seen.push((await failureOf(dial(port, { verifyServer: verify('/workload/1') }))).message);
  expect(seen[0]).toContain('server is spiffe://example.org/workload/2');
});

test('a channel that reconnects shows the credentials of the day', async () => {
  let current = ca.issue('/spire/agent/x509pop/1');
  const say = async (_request: unknown, { connection }: { connection: { transport: string; peerId?: SpiffeId } }) => ({
    value: connection.peerId?.toString() ?? 'nobody',
  });
  const first = echoServer({ say });
  const { port } = await first.listenTls({ host, port: 0, credentials: () => server, verifyPeer });
  const client = dial(port, { credentials: () => current });
  expect(await client.say({ value: '' })).toEqual({ value: 'spiffe://example.org/spire/agent/x509pop/1' });
  current = ca.issue('/spire/agent/x509pop/2');
  await first.close(0);
  await echoServer({ say }).listenTls({ host, port, credentials: () => server, verifyPeer });
  await expect
    .poll(() => client.say({ value: '' }).catch(() => undefined))
    .toEqual({ value: 'spiffe://example.org/spire/agent/x509pop/2' });
});

test('a server without credentials yet closes connections, and serves once it has some', async () => {
  let current: typeof server | undefined = undefined;
  const { port } = await listen({
    credentials: () => {
      if (current === undefined) throw new Error('no SVID yet');
      return current;
    },
  });
  const client = dial(port);
  expect((await failureOf(client)).code).toBe(statusCode.UNAVAILABLE);
  current = server;
  await expect.poll(() => client.say({ value: '' }).catch(() => undefined)).toBeDefined();
});

test('a client that does not speak h2 is refused', async () => {
  const { port } = await listen();
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  socket.on('error', () => undefined).resume();
  await once(socket, 'close');
});

test('TLS 1.1 is refused', async () => {
  const { port } = await listen();
  const socket = connectTls({
    host,
    port,
    rejectUnauthorized: false,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ALPNProtocols: ['h2'],
  });
  const [error] = (await once(socket, 'error')) as [Error];
  expect(error.message).toMatch(/version|unsupported|no protocols/i);
});

test('a session is never resumed: the certificate is shown each time', async () => {
  const { port } = await listen();
  const settings = { host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  const first = connectTls(settings).resume();
  const [session] = (await once(first, 'session')) as [Buffer];
  first.destroy();
  const second = connectTls({ ...settings, session });
  await once(second, 'secureConnect');
  expect(second.isSessionReused()).toBe(false);
  second.destroy();
});

/** Connects and says nothing; `isClosed` once the server has closed. */
async function silentConnection(port: number) {
  const socket = connectSocket({ host, port }).resume();
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return { socket, isClosed: () => socket.closed };
}

test('a client that stalls in the handshake is dropped, and holds up nobody', async () => {
  const { port } = await listen({ handshakeTimeoutMs: 2_000 });
  const stalled = await silentConnection(port);
  stalled.socket.write('\x16');
  expect(await dial(port).say({ value: '' })).toBeDefined();
  await expect.poll(stalled.isClosed, { timeout: 20_000 }).toBe(true);
});

test('beyond so many handshakes a connection is closed at once, and one is let in when another has ended', async () => {
  const { port } = await listen({ maxHandshakes: 2 });
  const [first, second] = [await silentConnection(port), await silentConnection(port)];
  const third = await silentConnection(port);
  await expect.poll(third.isClosed).toBe(true);
  expect([first.isClosed(), second.isClosed()]).toEqual([false, false]);
  first.socket.destroy();
  // One client, which connects again by itself: each further one would take the place that there is.
  const next = dial(port);
  await expect.poll(() => next.say({ value: '' }).catch(() => undefined)).toBeDefined();
  // Who has shaken hands holds no place there.
  expect(await dial(port, { credentials: () => agent }).say({ value: '' })).toEqual({ value: agent.id.toString() });
});

/** A server that keeps what it warns of. */
async function listenAndWarn(options: Partial<TlsListenerOptions> = {}) {
  const warnings: string[] = [];
  const said = (_fields: object, message: string): void => void warnings.push(message);
  const rpc = echoServer({ say: () => Promise.resolve({ value: '' }) }, { log: { warn: said, error: said } });
  const { port } = await rpc.listenTls({ host, port: 0, credentials: () => server, verifyPeer, ...options });
  return { port, warnings };
}

test.each([
  ['closes', (socket: Socket) => socket.end()],
  ['resets', (socket: Socket) => socket.resetAndDestroy()],
])('who %s before its first byte is not warned of; who does so after it is', async (_how, leave) => {
  const { port, warnings } = await listenAndWarn();
  const probe = await silentConnection(port);
  leave(probe.socket);
  await expect.poll(probe.isClosed).toBe(true);
  const client = await silentConnection(port);
  client.socket.write('\x16');
  // The server has the byte once it has answered another that came after it.
  await dial(port).say({ value: '' });
  expect(warnings).toEqual([]);
  leave(client.socket);
  await expect.poll(() => warnings).toEqual(['TLS handshake failed']);
});

test('who says nothing until its time is over is warned of', async () => {
  const { port, warnings } = await listenAndWarn({ handshakeTimeoutMs: 100 });
  const silent = await silentConnection(port);
  await expect.poll(silent.isClosed).toBe(true);
  expect(warnings).toEqual(['TLS handshake failed']);
});

test('who says nothing holds a place, gives way to another in the end, and is warned of', async () => {
  const { port, warnings } = await listenAndWarn({ maxHandshakes: 1, handshakeTimeoutMs: 60_000 });
  const silent = await silentConnection(port);
  const refused = await silentConnection(port);
  await expect.poll(refused.isClosed).toBe(true);
  expect(warnings).toEqual([]);
  const next = dial(port);
  const timeout = 20_000;
  await expect.poll(() => next.say({ value: '' }).catch(() => undefined), { timeout }).toBeDefined();
  await expect.poll(silent.isClosed).toBe(true);
  expect(warnings).toEqual(['TLS handshake failed']);
});

test('of handshakes that fail, ten are logged in a second', async () => {
  const { port, warnings } = await listenAndWarn();
  const startedAt = performance.now();
  const sockets = await Promise.all(Array.from({ length: 200 }, () => silentConnection(port)));
  for (const { socket } of sockets) socket.write('no handshake');
  await expect.poll(() => sockets.every(({ isClosed }) => isClosed()), { interval: 5, timeout: 20_000 }).toBe(true);
  const seconds = (performance.now() - startedAt) / 1000;
  const fresh = warnings.filter((message) => message === 'TLS handshake failed').length;
  expect(fresh).toBeGreaterThanOrEqual(10);
  // Ten in each second that has begun.
  expect(fresh).toBeLessThanOrEqual(10 * (Math.floor(seconds) + 2));
});

test('beyond so many connections one more is closed at once, and one is let in when another has ended', async () => {
  const { port } = await listen({ maxConnections: 2 });
  const [first, second] = [dial(port), await silentConnection(port)];
  await first.say({ value: '' });
  const third = await silentConnection(port);
  await expect.poll(third.isClosed).toBe(true);
  expect(second.isClosed()).toBe(false);
  expect(await first.say({ value: '' })).toBeDefined();
  second.socket.destroy();
  // One client, which connects again by itself: each further one would take the place that there is.
  const next = dial(port);
  await expect.poll(() => next.say({ value: '' }).catch(() => undefined)).toBeDefined();
});

test('an address that nobody listens on is named in the failure', async () => {
  expect((await failureOf(dial(1))).message).toContain('ECONNREFUSED 127.0.0.1:1');
});
