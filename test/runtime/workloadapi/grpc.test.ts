import { Client, Server } from '@grpc/grpc-js';
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import type { SpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { createGrpcCredentials, listenForGrpc } from '../../../runtime/workloadapi/grpc.ts';
import { createHandshakes } from '../../../runtime/workloadapi/handshakes.ts';
import type { X509Source } from '../../../runtime/workloadapi/x509-source.ts';
import { createTestCa } from '../rpc/test-ca.ts';
import { sourceOf } from './fake-agent.ts';

const ca = createTestCa('example.org');
const only = (path: string) => (id: SpiffeId) => id.toString() === `spiffe://example.org${path}`;
const text = { serialize: (value: string) => Buffer.from(value), parse: (bytes: Buffer) => bytes.toString() };

/** A server of grpc-js that answers with the SPIFFE ID of its caller. */
async function listen(source: X509Source, authorize: (id: SpiffeId) => boolean): Promise<string> {
  const server = new Server();
  const who = (call: ServerUnaryCall<string, string>, send: sendUnaryData<string>): void =>
    send(null, String(listener.peerOf(call)?.id));
  const method = {
    path: '/test.Who/Am',
    requestStream: false,
    responseStream: false,
    requestSerialize: text.serialize,
    requestDeserialize: text.parse,
    responseSerialize: text.serialize,
    responseDeserialize: text.parse,
  } as const;
  server.addService({ who: method }, { who });
  const listener = await listenForGrpc(server, { host: '127.0.0.1', port: 0, source, authorize });
  onTestFinished(async () => {
    await listener.close();
    server.forceShutdown();
  });
  return `127.0.0.1:${listener.address.port}`;
}

function ask(address: string, credentials: ReturnType<typeof createGrpcCredentials>): Promise<string | undefined> {
  const client = new Client(address, credentials);
  onTestFinished(() => client.close());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      '/test.Who/Am',
      text.serialize,
      text.parse,
      'who',
      { deadline: Date.now() + 20_000 },
      (error, answer) => (error === null ? resolve(answer) : reject(error)),
    );
  });
}

test('any client and server of grpc-js know each other', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/client')]);
  const address = await listen(server, only('/client'));
  expect(await ask(address, createGrpcCredentials({ source, authorize: only('/server') }))).toBe(
    'spiffe://example.org/client',
  );
});

test('a client refuses a server that is not the expected one', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/impostor'), sourceOf(ca, '/client')]);
  const handshakes = createHandshakes();
  const address = await listen(server, () => true);
  const credentials = createGrpcCredentials({ source, authorize: only('/server'), handshakes });
  await expect(ask(address, credentials)).rejects.toMatchObject({ code: 14 });
  expect(handshakes.counts()[0]).toMatchObject({
    peerId: 'spiffe://example.org/impostor',
    outcome: 'PEER_NOT_AUTHORIZED',
  });
});

test('a server refuses a client that is not authorized', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/stranger')]);
  const address = await listen(server, only('/client'));
  await expect(ask(address, createGrpcCredentials({ source, authorize: only('/server') }))).rejects.toMatchObject({
    code: 14,
  });
});
