import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { clientVerifier } from '../../../runtime/rpc/verify-peer.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import type { PrometheusConfig } from '../../../runtime/telemetry/config.ts';
import { listenForPrometheus } from '../../../runtime/telemetry/prometheus.ts';
import { createRegistry } from '../../../runtime/telemetry/registry.ts';
import { silentLog } from '../../support/stores.ts';
import { createTestCa } from '../rpc/test-ca.ts';
import type { TestSvid } from '../rpc/test-ca.ts';

const ca = createTestCa('example.org');
const others = createTestCa('example.org');
const server = ca.issue('/spire/server');
const reader = ca.issue('/monitoring/prometheus');
const stranger = ca.issue('/somebody');
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'prometheus-'));
  await writeFile(join(directory, 'cert.pem'), server.certificateChainPem);
  await writeFile(join(directory, 'key.pem'), keyPem(server));
  await writeFile(join(directory, 'ca.pem'), certificatesToPem(ca.roots()));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function keyPem({ privateKey }: TestSvid): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const files = () =>
  ({ kind: 'files', certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') }) as const;

async function listen(config: Partial<PrometheusConfig>, credentials = () => server): Promise<number> {
  const registry = createRegistry({ prefix: 'p', now: () => performance.now() });
  registry.counter(['calls']).add(3);
  const listener = await listenForPrometheus(
    { host: '127.0.0.1', port: 0, authorizedIds: [], ...config },
    {
      registry,
      credentials,
      verifyClient: clientVerifier({ roots: ca.roots, trustDomain: ca.trustDomain, clock: Date.now }),
      log: silentLog,
    },
  );
  onTestFinished(() => listener.close());
  return listener.port;
}

/** Over TLS, with the server's chain not judged here; what is asked is whom the server lets in. */
function get(port: number, client?: TestSvid): Promise<string> {
  const options: RequestOptions = {
    host: '127.0.0.1',
    port,
    path: '/metrics',
    agent: false,
    rejectUnauthorized: false,
    ...(client === undefined ? {} : { cert: client.certificateChainPem, key: keyPem(client) }),
  };
  return new Promise((resolve, reject) => {
    const call = request(options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end();
  });
}

const shown = '# HELP p_calls p_calls\n# TYPE p_calls counter\np_calls 3\n';

describe('the exporter', () => {
  it('shows the metrics at every path, as text of version 0.0.4', async () => {
    const port = await listen({});
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
      shown,
    ]);
  });

  it('shows them over TLS with certificate files, to anybody', async () => {
    expect(await get(await listen({ tls: files() }))).toBe(shown);
  });

  it('asks for a certificate of the CA where one is configured', async () => {
    const port = await listen({ tls: { ...files(), clientCaFile: join(directory, 'ca.pem') } });
    expect(await get(port, reader)).toBe(shown);
    await expect(get(port)).rejects.toThrow();
    await expect(get(port, others.issue('/monitoring/prometheus'))).rejects.toThrow();
  });

  it('shows them with the program’s own SVID, the one of now', async () => {
    let current = server;
    const port = await listen({ tls: { kind: 'svid' } }, () => current);
    expect(await get(port)).toBe(shown);
    expect(await get(port, stranger)).toBe(shown);
    current = ca.issue('/spire/server');
    expect(await get(port)).toBe(shown);
  });

  it.for(['files', 'svid'] as const)('lets only the authorized SPIFFE IDs in, with %s', async (kind) => {
    const authorizedIds = [parseSpiffeId('spiffe://example.org/monitoring/prometheus')];
    const port = await listen({ tls: kind === 'svid' ? { kind } : files(), authorizedIds });
    expect(await get(port, reader)).toBe(shown);
    await expect(get(port)).rejects.toThrow();
    await expect(get(port, stranger)).rejects.toThrow();
    await expect(get(port, others.issue('/monitoring/prometheus'))).rejects.toThrow();
    await expect(get(port, ca.issue('/monitoring/prometheus', -1_000))).rejects.toThrow();
  });

  it('refuses to start without its files, and names them', async () => {
    const tls = { kind: 'files', certFile: join(directory, 'gone.pem'), keyFile: 'k' } as const;
    await expect(listen({ tls })).rejects.toThrow(
      `failed to create TLS config for Prometheus: unable to read "${join(directory, 'gone.pem')}"`,
    );
  });

  it('refuses a port that is taken', async () => {
    const port = await listen({});
    await expect(listen({ port })).rejects.toThrow('EADDRINUSE');
  });
});
