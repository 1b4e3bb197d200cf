import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { createSpiffeId, serverId } from '../../../runtime/spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { createClient } from '../../../runtime/rpc/client.ts';
import { clientVerifier } from '../../../runtime/rpc/verify-peer.ts';
import type { WorkloadError } from '../../../runtime/workloadapi/errors.ts';
import { connectMtls, createMtlsServer } from '../../../runtime/workloadapi/mtls.ts';
import { connectSpiffe } from '../../../runtime/workloadapi/tls.ts';
import type { X509Source } from '../../../runtime/workloadapi/x509-source.ts';
import { EchoService, echoServer } from '../rpc/echo-service.ts';
import { createTestCa } from '../rpc/test-ca.ts';
import { sourceOf } from './fake-agent.ts';

const host = '127.0.0.1';
const ca = createTestCa('example.org');
const foreign = createTestCa('foreign.test');
const only = (path: string) => (id: SpiffeId) => id.toString() === `spiffe://example.org${path}`;

/** Greets whom it admits by their ID. */
async function listen(source: X509Source, authorize: (id: SpiffeId) => boolean) {
  const refusals: WorkloadError[] = [];
  const server = await createMtlsServer({
    host,
    port: 0,
    source,
    authorize,
    accept: (socket, peer) => void socket.end(`hello ${peer.id.toString()}`),
    refused: (error) => refusals.push(error),
  });
  onTestFinished(() => server.close());
  return { port: server.address.port, refusals };
}

async function greeting(port: number, source: X509Source, authorize: (id: SpiffeId) => boolean): Promise<string> {
  const { socket } = await connectMtls({ host, port, source, authorize });
  socket.setEncoding('utf8');
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk));
  await once(socket, 'close');
  return text;
}

test('two workloads of one trust domain know each other', async () => {
  const [server, client] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/client')]);
  const { port, refusals } = await listen(server, only('/client'));
  expect(await greeting(port, client, only('/server'))).toBe('hello spiffe://example.org/client');
  const { peerId, peerChain, socket } = await connectMtls({ host, port, source: client, authorize: only('/server') });
  socket.destroy();
  expect(peerId.path).toBe('/server');
  expect(peerChain).toHaveLength(1);
  expect(refusals).toEqual([]);
});

test('workloads of federated trust domains know each other', async () => {
  const server = await sourceOf(ca, '/server', [foreign]);
  const client = await sourceOf(foreign, '/client', [ca]);
  const { port } = await listen(server, (id) => id.trustDomain.equals(foreign.trustDomain));
  expect(await greeting(port, client, only('/server'))).toBe('hello spiffe://foreign.test/client');
});

test('a server refuses a client that is not authorized, and names it', async () => {
  const [server, client] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/stranger')]);
  const { port, refusals } = await listen(server, only('/client'));
  expect(await greeting(port, client, only('/server'))).toBe('');
  expect(refusals.map(({ code, message, peerId }) => [code, message, peerId?.path])).toEqual([
    ['PEER_NOT_AUTHORIZED', 'peer spiffe://example.org/stranger is not authorized', '/stranger'],
  ]);
});

test('a server refuses a client of a trust domain that it does not know, and names it', async () => {
  const server = await sourceOf(ca, '/server');
  const client = await sourceOf(foreign, '/client', [ca]);
  const { port, refusals } = await listen(server, () => true);
  expect(await greeting(port, client, () => true)).toBe('');
  expect(refusals.map(({ code, peerId }) => [code, peerId?.toString()])).toEqual([
    ['PEER_NOT_VERIFIED', 'spiffe://foreign.test/client'],
  ]);
});

test('a client refuses a server that is not the expected one, and names it', async () => {
  const [server, client] = await Promise.all([sourceOf(ca, '/impostor'), sourceOf(ca, '/client')]);
  const { port } = await listen(server, () => true);
  await expect(connectMtls({ host, port, source: client, authorize: only('/server') })).rejects.toMatchObject({
    code: 'PEER_NOT_AUTHORIZED',
    message: 'peer spiffe://example.org/impostor is not authorized',
  });
});

test('a client refuses a server that only claims its ID', async () => {
  const impostor = await sourceOf(createTestCa('example.org'), '/server');
  const client = await sourceOf(ca, '/client');
  const { port } = await listen(impostor, () => true);
  const call = connectMtls({ host, port, source: client, authorize: only('/server') });
  await expect(call).rejects.toMatchObject({
    code: 'PEER_NOT_VERIFIED',
    peerId: createSpiffeId(ca.trustDomain, '/server'),
  });
});

test('gRPC over mTLS reaches the expected server and shows who calls', async () => {
  const source = await sourceOf(ca, '/worker');
  const rpc = echoServer({
    say: async (_request, { connection }) => ({ value: String(connection.transport === 'tcp' && connection.peerId) }),
  });
  const credentials = ca.issue('/spire/server');
  const verifyPeer = clientVerifier({ roots: ca.roots, trustDomain: ca.trustDomain, clock: Date.now });
  const { port } = await rpc.listenTls({ host, port: 0, credentials: () => credentials, verifyPeer });
  const channel = connectSpiffe({ host, port, source, expectedId: serverId(ca.trustDomain) });
  onTestFinished(() => channel.close());
  expect(await createClient(EchoService, channel).say({ value: '' })).toEqual({ value: 'spiffe://example.org/worker' });

  const wrong = connectSpiffe({ host, port, source, expectedId: createSpiffeId(ca.trustDomain, '/other') });
  onTestFinished(() => wrong.close());
  await expect(createClient(EchoService, wrong).say({ value: '' })).rejects.toThrow('want spiffe://example.org/other');
});
