import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TlsCredentials } from '../../../../runtime/rpc/tls-credentials.ts';
import { listenForBundles } from '../../../../runtime/server/federation/bundle-endpoint.ts';
import type { BundleEndpointOptions } from '../../../../runtime/server/federation/bundle-endpoint.ts';
import { openServingCertificate } from '../../../../runtime/server/federation/serving-certificate.ts';
import { emptyBundle, encodeSpiffeBundle } from '../../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../../runtime/spiffe/bundle.ts';
import { createTestCa } from '../../rpc/test-ca.ts';
import { eventually } from '../../../support/eventually.ts';
import { silentLog } from '../../../support/stores.ts';
import { webCredentials } from './https-endpoint.ts';

const ca = createTestCa('example.org');
const bundle: TrustBundle = {
  ...emptyBundle(ca.trustDomain),
  x509Authorities: [{ asn1: ca.root.der }],
  refreshHintSeconds: 60,
  sequenceNumber: 7,
};

async function listen(options: Partial<BundleEndpointOptions> = {}): Promise<number> {
  const endpoint = await listenForBundles({
    host: '127.0.0.1',
    port: 0,
    refreshHintSeconds: 300,
    bundle: () => bundle,
    credentials: () => ca.issue('/spire/server'),
    log: silentLog,
    ...options,
  });
  onTestFinished(() => endpoint.close());
  return endpoint.address.port;
}

const local = { host: '127.0.0.1', rejectUnauthorized: false } as const;

function ask(port: number, method = 'GET', path = '/') {
  return new Promise<{ status: number; type: string | undefined; allow: string | undefined; body: string }>(
    (resolve, reject) => {
      const asking = request({ ...local, port, method, path, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () => {
          const { 'content-type': type, allow } = response.headers;
          resolve({ status: response.statusCode ?? 0, type, allow, body });
        });
      });
      asking.on('error', reject);
      asking.end();
    },
  );
}

/** A connection whose handshake is done. */
async function shakeHands(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connectTls({ ...local, port, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

const fingerprintOf = async (port: number) =>
  (await shakeHands(port)).getPeerX509Certificate()?.fingerprint256 ?? 'none';

test('the bundle is served with our hint and its own sequence number', async () => {
  const port = await listen();
  for (const path of ['/', '/?a=b'])
    expect(await ask(port, 'GET', path)).toEqual({
      status: 200,
      type: 'application/json',
      allow: undefined,
      body: encodeSpiffeBundle({ ...bundle, refreshHintSeconds: 300 }),
    });
});

test('a change of the bundle is served at once, one that is the same is not encoded again', async () => {
  let current = bundle;
  const port = await listen({ bundle: () => current });
  const sequence = async () => (JSON.parse((await ask(port)).body) as Record<string, unknown>)['spiffe_sequence'];
  expect(await sequence()).toBe(7);
  current = { ...bundle, sequenceNumber: 8 };
  expect(await sequence()).toBe(8);
  // What is encoded once would throw the second time.
  const broken = { ...current, x509Authorities: [{ asn1: new Uint8Array([1]) }] };
  Object.assign(current, broken);
  expect(await sequence()).toBe(8);
});

describe('nothing else is served', () => {
  test.each([
    ['POST', '/', 405, '405 method not allowed\n'],
    ['HEAD', '/', 405, ''],
    ['PUT', '/elsewhere', 405, '405 method not allowed\n'],
    ['GET', '/bundle', 404, '404 page not found\n'],
    ['GET', '//', 404, '404 page not found\n'],
    ['GET', '/%2e', 404, '404 page not found\n'],
  ])('%s %s', async (method, path, status, body) => {
    expect(await ask(await listen(), method, path)).toEqual({
      status,
      type: 'text/plain; charset=utf-8',
      allow: status === 405 ? 'GET' : undefined,
      body,
    });
  });

  test('where the bundle cannot be written down', async () => {
    const port = await listen({ bundle: () => ({ ...bundle, x509Authorities: [{ asn1: new Uint8Array([1]) }] }) });
    expect(await ask(port)).toMatchObject({ status: 500, body: '500 unable to marshal local bundle\n' });
  });
});

describe('a connection is refused or cut', () => {
  test('below TLS 1.2', async () => {
    const port = await listen();
    await expect(
      shakeHands(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^(ERR_SSL_|ECONNRESET)/) as string });
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      expect((await shakeHands(port, { minVersion: version, maxVersion: version })).getProtocol()).toBe(version);
  });

  test('while there is no certificate, without harm to what follows', async () => {
    const issued: TlsCredentials[] = [];
    const port = await listen({
      credentials: () => {
        const [latest] = issued;
        if (latest === undefined) throw new Error('none yet');
        return latest;
      },
    });
    await expect(shakeHands(port)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ERR_SSL_|ECONNRESET)/) as string,
    });
    issued.push(ca.issue('/spire/server'));
    expect((await ask(port)).status).toBe(200);
  });

  test('that resumes a session', async () => {
    const port = await listen();
    const first = await shakeHands(port, { maxVersion: 'TLSv1.2' });
    const session = first.getSession();
    const second = await shakeHands(port, { maxVersion: 'TLSv1.2', ...(session === undefined ? {} : { session }) });
    expect(second.isSessionReused()).toBe(false);
  });

  test('when there are more than may be', async () => {
    const port = await listen({ limits: { connections: 2 } });
    await Promise.all([shakeHands(port), shakeHands(port)]);
    const third = connectSocket({ ...local, port });
    await once(third, 'close');
    expect(third.bytesRead).toBe(0);
  });

  test.each([
    ['the handshake does not come', false, ''],
    ['the headers do not end', true, 'GET / HTTP/1.1\r\nhost: a\r\n'],
    ['the body does not come', true, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n'],
  ])('when %s', async (_, secure, text) => {
    const port = await listen({ limits: { requestMs: 100 } });
    // A handshake that takes a busy machine too long is cut off as well.
    const socket = secure ? await eventually(() => shakeHands(port)) : connectSocket({ ...local, port });
    socket.on('error', () => undefined).resume();
    socket.write(text);
    await once(socket, 'close');
  });

  test('when nothing moves on it', async () => {
    const port = await listen({ limits: { idleMs: 100 } });
    const socket = await shakeHands(port);
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
  });
});

describe('the certificate', () => {
  test('is the newest at each connection', async () => {
    const [first, second] = [ca.issue('/spire/server'), ca.issue('/spire/server')];
    let credentials = first;
    const port = await listen({ credentials: () => credentials });
    const before = await fingerprintOf(port);
    expect(await fingerprintOf(port)).toBe(before);
    credentials = second;
    expect(await fingerprintOf(port)).not.toBe(before);
  });

  const pemOf = ({ certificateChainPem, privateKey }: TlsCredentials) => ({
    certificate: certificateChainPem,
    key: typeof privateKey === 'string' ? privateKey : privateKey.export({ type: 'pkcs8', format: 'pem' }),
  });

  async function certificateFiles() {
    const directory = await mkdtemp(join(tmpdir(), 'serving-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const paths = { certificatePath: join(directory, 'cert.pem'), keyPath: join(directory, 'key.pem') };
    const write = async (certificate: string | Buffer, key: string | Buffer) => {
      await writeFile(paths.certificatePath, certificate);
      await writeFile(paths.keyPath, key);
    };
    return { ...paths, write };
  }

  test('is read from its files, and again when they change; a pair that does not fit is passed over', async () => {
    const { write, ...paths } = await certificateFiles();
    const [first, second] = [pemOf(webCredentials()), pemOf(webCredentials())];
    await write(first.certificate, first.key);
    const served = await openServingCertificate({ ...paths, syncIntervalMs: 10 }, silentLog);
    onTestFinished(() => served.close());
    const port = await listen({ credentials: () => served.current() });
    const before = await fingerprintOf(port);
    await write(second.certificate, first.key);
    await write('', '');
    expect(await fingerprintOf(port)).toBe(before);
    await write(second.certificate, second.key);
    await expect.poll(() => fingerprintOf(port)).not.toBe(before);
    expect(served.current()).toEqual({ certificateChainPem: second.certificate, privateKey: second.key });
  });

  test('does not start from files that are missing or do not fit', async () => {
    const { write, ...paths } = await certificateFiles();
    const open = () => openServingCertificate({ ...paths, syncIntervalMs: 10 }, silentLog);
    await expect(open()).rejects.toThrow(/^unable to read .*(cert|key)\.pem: ENOENT/);
    const [first, second] = [pemOf(webCredentials()), pemOf(webCredentials())];
    await write(first.certificate, second.key);
    await expect(open()).rejects.toThrow(/^unable to use .*cert\.pem and .*key\.pem as certificate and key: /);
  });
});
