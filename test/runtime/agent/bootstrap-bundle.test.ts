// The agent's first bundle from a helper's socket or from another agent: what is asked, and which answers are refused.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SpiffeWorkloadAPIService } from '../../../proto/gen/spiffe/workload/workload.ts';
import { loadBootstrapBundle } from '../../../runtime/agent/node/bootstrap-bundle.ts';
import { checkSecurityHeader } from '../../../runtime/agent/workload-api/service.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { createRpcServer } from '../../../runtime/rpc/server.ts';
import type { RpcServer } from '../../../runtime/rpc/server.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';

const trustDomain = parseTrustDomain('example.org');
const roots = createFakeAuthority(trustDomain).roots();
let directory: string;
let socketPath: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bundle-'));
  socketPath = join(directory, 's.sock');
});
afterEach(() => rmSync(directory, { recursive: true }));

const common = {
  trustDomain,
  server: { host: 'spire.example.org', port: 8081 },
  attempt: { mode: 'rebootstrap', number: 3, startedAt: Date.UTC(2026, 0, 2) },
} as const;

describe('a helper’s socket', () => {
  let helper: Server;
  afterEach(() => void helper.close());

  const listen = (listener: RequestListener): Promise<void> => {
    helper = createServer(listener);
    return new Promise((resolve) => helper.listen(socketPath, resolve));
  };
  const load = () =>
    loadBootstrapBundle({
      ...common,
      source: { kind: 'unixSocket', socketPath, url: 'http://helper/bundle?zone=a', format: 'pem' },
    });

  it('is told what the bundle is for', async () => {
    let asked = '';
    await listen(({ url = '', headers }, response) => {
      asked = `${headers.host ?? ''} ${url}`;
      response.end(certificatesToPem(roots));
    });
    expect((await load()).map((der) => Buffer.from(der))).toEqual(roots.map((der) => Buffer.from(der)));
    expect(asked).toBe(
      'helper /bundle?zone=a&spire-attest-mode=rebootstrap&spire-connection-attempts=3&spire-attest-start-time=2026-01-02T00%3A00%3A00Z&spire-server-address=spire.example.org&spire-server-port=8081&spiffe-trust-domain=example.org',
    );
  });

  it.each([
    [500, '', 'answers 500'],
    [302, '', 'answers 302'],
    [200, '', 'no certificate found'],
    [200, 'x'.repeat(1024 * 1024 + 1), 'has more than 1048576 bytes'],
  ])('is refused with status %d and its body', async (status, body, message) => {
    await listen((_, response) => response.writeHead(status, { location: 'http://elsewhere' }).end(body));
    await expect(load()).rejects.toThrow(message);
  });
});

describe('another agent', () => {
  let agent: RpcServer;
  afterEach(() => agent.close(0));

  const listen = async (bundles: Record<string, Uint8Array>): Promise<void> => {
    agent = createRpcServer({ intercept: checkSecurityHeader });
    agent.addService(SpiffeWorkloadAPIService, {
      async *fetchX509Bundles() {
        yield { crl: [], bundles };
      },
    });
    await agent.listenUnix(socketPath, { mode: 0o700 });
  };
  const load = () => loadBootstrapBundle({ ...common, source: { kind: 'workloadApi', socketPath } });

  it('gives the bundle of the trust domain', async () => {
    await listen({ 'spiffe://example.org': Buffer.concat(roots), 'spiffe://other.org': new Uint8Array([1]) });
    expect((await load()).map((der) => Buffer.from(der))).toEqual(roots.map((der) => Buffer.from(der)));
  });

  it('of another trust domain is refused', async () => {
    await listen({ 'spiffe://other.org': Buffer.concat(roots) });
    await expect(load()).rejects.toMatchObject({
      message: `unable to fetch trust bundle from SPIFFE Workload API ${socketPath}`,
      cause: { message: 'did not provide a trust bundle for trust domain "example.org"' },
    });
  });

  it('without certificates is refused', async () => {
    await listen({ 'spiffe://example.org': new Uint8Array() });
    await expect(load()).rejects.toThrow('chain is empty');
  });
});
