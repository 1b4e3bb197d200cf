// A server and an agent of ours, over the wire; and a second server whose CA the first one signs.
import { connect as connectSocket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { verifyX509Svid } from '../../../runtime/pki/x509-svid.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { ownAddress } from '../../support/own-address.ts';
import { createEntry, runServer, trustDomain } from '../../support/run-server.ts';
import type { RunningTestServer } from '../../support/run-server.ts';
import { callMetadata, startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

const healthPort = 8080;
let server: RunningTestServer;
let agent: RunningAgent;
let agentPath: string;

beforeAll(async () => {
  server = await runServer({
    settings: 'audit_log_enabled = true',
    sections: `health_checks { listener_enabled = true bind_address = "${ownAddress}" bind_port = "${healthPort}" }`,
  });
  const token = await server.local.agent.createJoinToken({ ttl: 60, token: '', agentId: undefined });
  agentPath = `/spire/agent/join_token/${token.value}`;
  agent = await startAgent({ port: server.port, bundlePem: server.bundlePem, joinToken: token.value });
  await agent.serving();
});
afterAll(async () => {
  await agent.remove();
  await server.close();
});

const uid = process.getuid?.() ?? 0;

/** The X509-SVIDs of the first answer of a running stream that satisfies the condition. */
async function fetchSvids(count: number) {
  for await (const { svids } of agent.api.fetchX509Svid(
    {},
    { metadata: callMetadata, signal: AbortSignal.timeout(30_000) },
  )) {
    if (svids.length >= count) return svids;
  }
  throw new Error('the stream ended');
}

test('a workload gets the SVID that its entry says, and a new entry reaches it', async () => {
  await createEntry(server.local, '/first', agentPath, { selectors: [{ type: 'unix', value: `uid:${uid}` }] });
  const [first] = await waitForSvids(1);
  const chain = [first!.x509Svid];
  expect(String(verifyX509Svid({ chain, roots: server.roots, now: Date.now(), trustDomain }).id)).toBe(
    'spiffe://example.org/first',
  );
  await createEntry(server.local, '/second', agentPath, { selectors: [{ type: 'unix', value: `uid:${uid}` }] });
  expect((await waitForSvids(2)).map(({ spiffeId }) => spiffeId).sort()).toEqual([
    'spiffe://example.org/first',
    'spiffe://example.org/second',
  ]);
});

/** Without an entry the agent refuses: tried again until there is one. */
async function waitForSvids(count: number) {
  for (;;) {
    try {
      return await fetchSvids(count);
    } catch (error) {
      if ((error as { code?: number }).code !== statusCode.PERMISSION_DENIED) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe('over TLS', () => {
  test('services of the private socket do not exist', async () => {
    await expect(server.connectTls().health.check({ service: '' })).rejects.toMatchObject({
      code: statusCode.UNIMPLEMENTED,
    });
    await expect(
      (await server.connectAs('spiffe://example.org/w')).health.check({ service: '' }),
    ).rejects.toMatchObject({ code: statusCode.UNIMPLEMENTED });
  });

  test('a caller without a certificate reaches what is open to all, and nothing else', async () => {
    const { bundle, entry } = server.connectTls();
    await expect(bundle.getBundle({ outputMask: undefined })).resolves.toMatchObject({ trustDomain: 'example.org' });
    await expect(entry.countEntries({ filter: undefined })).rejects.toMatchObject({
      code: statusCode.PERMISSION_DENIED,
      message: 'authorization denied for method /spire.api.server.entry.v1.Entry/CountEntries',
    });
  });

  test('rights follow the caller’s entries, and go with them', async () => {
    const { entry } = await server.connectAs('spiffe://example.org/admin');
    await expect(entry.countEntries({ filter: undefined })).rejects.toMatchObject({
      code: statusCode.PERMISSION_DENIED,
    });
    const made = await createEntry(server.local, '/admin', '/node', { admin: true });
    await expect
      .poll(() =>
        entry.countEntries({ filter: undefined }).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await server.local.entry.batchDeleteEntry({ ids: [made.id] });
    await expect
      .poll(() =>
        entry.countEntries({ filter: undefined }).then(
          () => true,
          () => false,
        ),
      )
      .toBe(false);
  });

  test('plain HTTP/2 is not spoken', async () => {
    const closed = await new Promise<string>((resolve) => {
      const socket = connectSocket(server.port, '127.0.0.1', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
      let answer = '';
      socket.on('data', (data) => (answer += data.toString('latin1')));
      socket.on('error', () => resolve('reset'));
      socket.on('close', () => resolve(answer.includes('HTTP') ? 'answered' : 'closed'));
    });
    expect(['closed', 'reset']).toContain(closed);
  });
});

describe('health', () => {
  test('is told over gRPC on the private socket', async () => {
    expect(await server.local.health.check({ service: '' })).toEqual({ status: 1 });
    await expect(server.local.health.check({ service: 'other' })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'per-service health is not supported',
    });
    expect(await server.local.health.list({})).toEqual({ statuses: { '': { status: 1 } } });
  });

  test.each(['/live', '/ready'])('is told over HTTP on %s', async (path) => {
    const response = await fetch(`http://${ownAddress}:${healthPort}${path}`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      'catalog.datastore': {},
      server: {},
      'server.ca': {},
      'server.ca.rotator': {},
    });
  });

  test('has no other page', async () => {
    expect((await fetch(`http://${ownAddress}:${healthPort}/`)).status).toBe(404);
  });
});

test('the audit log names caller, method, right and outcome, and no token', async () => {
  await server
    .connectTls()
    .entry.countEntries({ filter: undefined })
    .catch(() => undefined);
  const audit = server.lines.filter((line) => line.includes('type=audit'));
  expect(
    audit.some(
      (line) =>
        line.includes('CountEntries') &&
        !line.includes('authorized_as') &&
        line.includes('status_code=PermissionDenied'),
    ),
  ).toBe(true);
  expect(
    audit.some(
      (line) =>
        line.includes('AttestAgent') &&
        line.includes('node_attestor_type=join_token') &&
        line.includes('status=success'),
    ),
  ).toBe(true);
  expect(
    audit.some(
      (line) =>
        line.includes('CreateJoinToken') && line.includes('authorized_as=local') && line.includes(`caller_uid=${uid}`),
    ),
  ).toBe(true);
  expect(server.lines.join('')).not.toMatch(/eyJ|PRIVATE KEY/);
});

describe('a downstream server', () => {
  let downstream: RunningTestServer;
  beforeAll(async () => {
    await createEntry(server.local, '/downstream', agentPath, {
      selectors: [{ type: 'unix', value: `uid:${uid}` }],
      downstream: true,
    });
    // Only the downstream's identity may be this process's: its agent gives the first that fits.
    const { entries } = await server.local.entry.listEntries({
      filter: undefined,
      pageSize: 0,
      pageToken: '',
      outputMask: undefined,
    });
    const others = entries.filter(({ spiffeId }) => spiffeId?.path === '/first' || spiffeId?.path === '/second');
    await server.local.entry.batchDeleteEntry({ ids: others.map(({ id }) => id) });
    while ((await waitForSvids(1)).some(({ spiffeId }) => spiffeId !== 'spiffe://example.org/downstream')) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    downstream = await runServer({
      settings: 'ca_ttl = "6h"',
      plugins: `UpstreamAuthority "spire" { plugin_data { server_address = "127.0.0.1" server_port = "${server.port}" workload_api_socket = "${agent.socketPath}" } }`,
    });
  });
  afterAll(() => downstream.close());

  test('shares the bundle of the one above it', async () => {
    const above = await server.local.bundle.getBundle({ outputMask: undefined });
    const below = await downstream.local.bundle.getBundle({ outputMask: undefined });
    const hex = (bundle: typeof above) =>
      bundle.x509Authorities.map(({ asn1 }) => Buffer.from(asn1).toString('hex')).sort();
    expect(hex(below)).toEqual(hex(above));
  });

  test('signs what verifies under the root, with its intermediate in the chain', async () => {
    const { svid } = await mint(downstream, 'spiffe://example.org/below');
    expect(svid!.certChain).toHaveLength(2);
    const { chain } = verifyX509Svid({ chain: svid!.certChain, roots: server.roots, now: Date.now(), trustDomain });
    expect(chain.at(0)?.uris).toEqual(['spiffe://example.org/below']);
  });

  test('publishes its JWT key to the one above it', async () => {
    const above = await server.local.bundle.getBundle({ outputMask: undefined });
    const below = await downstream.local.bundle.getBundle({ outputMask: undefined });
    const kids = below.jwtAuthorities.map(({ keyId }) => keyId);
    expect(kids.length).toBeGreaterThan(0);
    for (const kid of kids) expect(above.jwtAuthorities.map(({ keyId }) => keyId)).toContain(kid);
  });
});

async function mint(of: RunningTestServer, id: string) {
  const csr = createCsr({ signer: signerOf(generateKeyPairSync('ec-p256').privateKey), spiffeId: parseSpiffeId(id) });
  return of.local.svid.mintX509Svid({ csr, ttl: 0 });
}
