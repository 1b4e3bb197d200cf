// The demonstration workloads: whom they admit, what they prove, and what they say of those whom they refused.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getJson } from '../../../runtime/demo/mtls-http.ts';
import { startDemoWorkload } from '../../../runtime/demo/demo-workload.ts';
import type { DemoWorkload } from '../../../runtime/demo/demo-workload.ts';
import { parseWorkloadConfig } from '../../../runtime/demo/workload-config.ts';
import { request } from 'node:http';
import { createLog } from '../../../runtime/log.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { connectMtls } from '../../../runtime/workloadapi/mtls.ts';
import type { X509Source } from '../../../runtime/workloadapi/x509-source.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';

const trustDomain = parseTrustDomain('example.org');
const authority = createFakeAuthority(trustDomain);
const log = createLog({ level: 'error', format: 'text', write: () => undefined });
const id = (name: string) => `spiffe://example.org/${name}`;
const pem = expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/) as string;
let a: DemoWorkload;
let b: DemoWorkload;

function sourceOf(name: string, signedBy = authority): X509Source {
  const spiffeId = createSpiffeId(trustDomain, `/${name}`);
  const { publicKey, privateKey } = generateKeyPairSync('ec-p256');
  const { certChain, expiresAt } = signedBy.issue({ publicKey, spiffeId, ttl: 3_600_000 });
  const svid = { id: spiffeId, chain: certChain, privateKey, hint: '', expiresAt: expiresAt * 1000 };
  const bundle = { ...emptyBundle(trustDomain), x509Authorities: authority.roots().map((asn1) => ({ asn1 })) };
  return {
    svid: () => svid,
    svids: () => [svid],
    bundle: () => bundle,
    onUpdate: () => () => undefined,
    close: () => undefined,
  };
}

function start(name: string, peer: string): Promise<DemoWorkload> {
  const config = parseWorkloadConfig({
    WORKLOAD_LISTEN: '127.0.0.1:0',
    WORKLOAD_CONTROL: '127.0.0.1:0',
    WORKLOAD_PEERS: id(peer),
    WORKLOAD_OPERATORS: `${id('operator')},${id('second-operator')}`,
  });
  return startDemoWorkload({ config, source: sourceOf(name), clock: Date.now, log });
}

beforeAll(async () => {
  [a, b] = await Promise.all([start('a', 'b'), start('b', 'a')]);
});
afterAll(() => Promise.all([a.close(), b.close()]));

async function get(port: number, path: string, as: string, signedBy = authority): Promise<unknown> {
  const { socket } = await connectMtls({
    host: '127.0.0.1',
    port,
    source: sourceOf(as, signedBy),
    authorize: () => true,
  });
  return getJson(socket, path).finally(() => socket.destroy());
}

async function handshake(port: number, order: unknown): Promise<{ status: number | undefined; body: unknown }> {
  const { socket } = await connectMtls({
    host: '127.0.0.1',
    port,
    source: sourceOf('operator'),
    authorize: () => true,
  });
  return new Promise((resolve, reject) => {
    const asking = request(
      { method: 'POST', path: '/handshake', createConnection: () => socket, headers: { connection: 'close' } },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) as unknown }));
      },
    );
    asking.once('error', reject);
    asking.end(JSON.stringify(order));
  });
}

describe('the service port', () => {
  it('tells its peer who it is and whom it sees', async () => {
    expect(await get(a.servicePort, '/identity', 'b')).toEqual({ id: id('a'), chain: [pem], caller: id('b') });
  });

  it('closes the connection of anybody else, without an answer, and remembers that', async () => {
    const before = Date.now();
    await expect(get(a.servicePort, '/identity', 'operator')).rejects.toThrow(/socket hang up|ECONNRESET|closed/);
    const refusals = (await get(a.controlPort, '/refusals', 'operator')) as { time: string }[];
    expect(refusals.at(-1)).toEqual({
      time: expect.any(String) as string,
      peerId: id('operator'),
      reason: `peer ${id('operator')} is not authorized`,
    });
    expect(Date.parse(refusals.at(-1)!.time)).toBeGreaterThanOrEqual(before);
  });

  it('refuses a certificate of its peer that another authority signed', async () => {
    await expect(get(a.servicePort, '/identity', 'b', createFakeAuthority(trustDomain))).rejects.toThrow();
    const refusals = (await get(a.controlPort, '/refusals', 'operator')) as { reason: string }[];
    expect(refusals.at(-1)!.reason).toContain('is not verified');
  });
});

describe('the control port', () => {
  it('shows chain and bundle to operators', async () => {
    const answer = { id: id('a'), chain: [pem], bundle: [pem] };
    expect(await get(a.controlPort, '/identity', 'operator')).toEqual(answer);
    expect(await get(a.controlPort, '/identity', 'second-operator')).toEqual(answer);
  });

  it('refuses a peer of the service', async () => {
    await expect(get(a.controlPort, '/identity', 'b')).rejects.toThrow();
  });

  it('proves a handshake with the peer that is expected', async () => {
    expect(await handshake(a.controlPort, { address: `127.0.0.1:${b.servicePort}`, expectedId: id('b') })).toEqual({
      status: 200,
      body: { self: id('a'), peer: id('b'), peerChain: [pem], seenAs: id('a') },
    });
  });

  it('reports a peer that is another one', async () => {
    expect(await handshake(a.controlPort, { address: `127.0.0.1:${b.servicePort}`, expectedId: id('c') })).toEqual({
      status: 502,
      body: { self: id('a'), error: `peer ${id('b')} is not authorized` },
    });
  });

  it('reports a peer that refuses it', async () => {
    const { status, body } = await handshake(a.controlPort, {
      address: `127.0.0.1:${a.servicePort}`,
      expectedId: id('a'),
    });
    expect({ status, self: (body as { self: string }).self }).toEqual({ status: 502, self: id('a') });
  });

  it.each([{}, { address: 'nowhere', expectedId: id('b') }, { address: '127.0.0.1:1', expectedId: 'b' }])(
    'refuses the order %j',
    async (order) => {
      expect(await handshake(a.controlPort, order)).toMatchObject({ status: 400 });
    },
  );
});

describe('the environment', () => {
  it('is reported with all its faults', () => {
    const faults = () => parseWorkloadConfig({ WORKLOAD_LISTEN: 'x', WORKLOAD_PEERS: 'spiffe://Example.org/a' });
    for (const name of ['WORKLOAD_LISTEN', 'WORKLOAD_CONTROL', 'WORKLOAD_PEERS']) expect(faults).toThrow(`${name}: `);
    expect(faults).not.toThrow('WORKLOAD_OPERATORS');
  });
});
