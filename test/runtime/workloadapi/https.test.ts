import { get } from 'node:https';
import type { Agent } from 'node:https';
import { expect, onTestFinished, test } from 'vitest';
import type { SpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { createHandshakes } from '../../../runtime/workloadapi/handshakes.ts';
import { createHttpsAgent, createHttpsServer } from '../../../runtime/workloadapi/https.ts';
import type { HttpsServerOptions } from '../../../runtime/workloadapi/https.ts';
import type { X509Source } from '../../../runtime/workloadapi/x509-source.ts';
import { createTestCa } from '../rpc/test-ca.ts';
import { sourceOf } from './fake-agent.ts';

const ca = createTestCa('example.org');
const only = (path: string) => (id: SpiffeId) => id.toString() === `spiffe://example.org${path}`;

async function listen(source: X509Source, more: Partial<HttpsServerOptions> = {}): Promise<string> {
  const server = await createHttpsServer({
    host: '127.0.0.1',
    port: 0,
    source,
    authorize: only('/client'),
    handler: (request, response, peer) => void response.end(`${request.url ?? ''} for ${peer.id.toString()}`),
    ...more,
  });
  onTestFinished(() => server.close());
  return `https://127.0.0.1:${server.address.port}/orders`;
}

function fetchText(url: string, agent: Agent): Promise<string> {
  onTestFinished(() => agent.destroy());
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text)).on('error', reject);
    }).on('error', reject);
  });
}

test('https.request reaches the server that is expected, which knows who asks', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/client')]);
  const [ours, theirs] = [createHandshakes(), createHandshakes()];
  const url = await listen(server, { handshakes: theirs });
  const agent = createHttpsAgent({ source, authorize: only('/server'), handshakes: ours });
  expect(await fetchText(url, agent)).toBe('/orders for spiffe://example.org/client');
  expect(ours.counts()).toEqual([
    { role: 'client', peerId: 'spiffe://example.org/server', outcome: 'ACCEPTED', count: 1 },
  ]);
  expect(theirs.counts()).toEqual([
    { role: 'server', peerId: 'spiffe://example.org/client', outcome: 'ACCEPTED', count: 1 },
  ]);
});

test('a connection that is kept alive serves the next request too', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/client')]);
  const handshakes = createHandshakes();
  const url = await listen(server);
  const agent = createHttpsAgent({ source, authorize: only('/server'), handshakes, agent: { keepAlive: true } });
  await fetchText(url, agent);
  await fetchText(url, agent);
  expect(handshakes.counts().map(({ count }) => count)).toEqual([1]);
});

test('an agent refuses a server that is not the expected one', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/impostor'), sourceOf(ca, '/client')]);
  const handshakes = createHandshakes();
  const url = await listen(server);
  const agent = createHttpsAgent({ source, authorize: only('/server'), handshakes });
  await expect(fetchText(url, agent)).rejects.toMatchObject({ code: 'PEER_NOT_AUTHORIZED' });
  expect(handshakes.counts()).toEqual([
    { role: 'client', peerId: 'spiffe://example.org/impostor', outcome: 'PEER_NOT_AUTHORIZED', count: 1 },
  ]);
});

test('a server refuses a caller that is not authorized before any request', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/stranger')]);
  let asked = 0;
  const handshakes = createHandshakes();
  const url = await listen(server, { handshakes, handler: () => (asked += 1) });
  await expect(fetchText(url, createHttpsAgent({ source, authorize: only('/server') }))).rejects.toThrow();
  expect(asked).toBe(0);
  expect(handshakes.counts()).toMatchObject([
    { peerId: 'spiffe://example.org/stranger', outcome: 'PEER_NOT_AUTHORIZED' },
  ]);
});

test('both SPIFFE IDs stand on the spans of both sides', async () => {
  const [server, source] = await Promise.all([sourceOf(ca, '/server'), sourceOf(ca, '/client')]);
  const spans: Readonly<Record<string, string>>[] = [];
  const activeSpan = () => ({
    setAttributes: (attributes: Readonly<Record<string, string>>) => spans.push(attributes),
  });
  const url = await listen(server, { activeSpan });
  await fetchText(url, createHttpsAgent({ source, authorize: only('/server'), activeSpan }));
  expect(spans).toEqual([
    { 'spiffe.id': 'spiffe://example.org/client', 'spiffe.peer.id': 'spiffe://example.org/server' },
    { 'spiffe.id': 'spiffe://example.org/server', 'spiffe.peer.id': 'spiffe://example.org/client' },
  ]);
});
