// PROXY headers: every way to write one, every way to break one, and connections that carry them to a gRPC server.
import * as fc from 'fast-check';
import { once } from 'node:events';
import { connect as connectSocket, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import { isTrusted, parseProxyHeader, parseTrustedNetworks } from '../../../runtime/rpc/proxy-protocol.ts';
import { clientVerifier, serverVerifier } from '../../../runtime/rpc/verify-peer.ts';
import { serverId } from '../../../runtime/spiffe/spiffe-id.ts';
import { EchoService, echoServer } from './echo-service.ts';
import type { EchoHandlers } from './echo-service.ts';
import { createTestCa } from './test-ca.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

function v2(command: number, family: number, body: Buffer, length = body.length): Buffer {
  const fixed = Buffer.from([command, family, 0, 0]);
  fixed.writeUInt16BE(length, 2);
  return Buffer.concat([signature, fixed, body]);
}

const tcp4 = Buffer.from('0a010203' + '0a000001' + '04d2' + '1f91', 'hex');
const tcp6 = Buffer.from(`fd${'00'.repeat(14)}01${'00'.repeat(15)}01` + '04d2' + '1f91', 'hex');
const v4Source = { address: '10.1.2.3', port: 1234 };

describe('a header', () => {
  test.each([
    ['PROXY TCP4 10.1.2.3 10.0.0.1 1234 8081\r\n', v4Source],
    ['PROXY TCP6 fd00::1 ::1 1234 8081\r\n', { address: 'fd00::1', port: 1234 }],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', undefined],
    [v2(0x21, 0x11, tcp4), v4Source],
    [v2(0x21, 0x11, Buffer.concat([tcp4, Buffer.from('a TLV')])), v4Source],
    [v2(0x21, 0x21, tcp6), { address: 'fd00:0:0:0:0:0:0:1', port: 1234 }],
    [v2(0x20, 0x00, Buffer.alloc(0)), undefined],
  ])('%j is read, with what follows left alone, and no part of it is enough', (text, source) => {
    const bytes = Buffer.from(text);
    const expected = { kind: 'header', length: bytes.length, ...(source === undefined ? {} : { source }) };
    expect(parseProxyHeader(Buffer.concat([bytes, Buffer.from('\x16\x03\x01')]))).toEqual(expected);
    for (let length = 1; length < bytes.length; length += 1) {
      expect(parseProxyHeader(bytes.subarray(0, length))).toEqual({ kind: 'incomplete' });
    }
  });

  test.each([
    ['PROXY TCP4 10.1.2.3 10.0.0.1 1234\r\n', 'addresses'],
    ['PROXY TCP4 fd00::1 ::1 1234 8081\r\n', 'addresses'],
    ['PROXY TCP6 10.1.2.3 10.0.0.1 1234 8081\r\n', 'addresses'],
    ['PROXY TCP4 10.1.2.300 10.0.0.1 1234 8081\r\n', 'addresses'],
    ['PROXY UDP4 10.1.2.3 10.0.0.1 1234 8081\r\n', 'addresses'],
    ['PROXY TCP4 10.1.2.3 10.0.0.1 1234 8081 x\r\n', 'addresses'],
    ['PROXY TCP4 10.1.2.3 10.0.0.1 65536 8081\r\n', 'ports'],
    ['PROXY TCP4 10.1.2.3 10.0.0.1 01 8081\r\n', 'ports'],
    ['PROXY TCP4 10.1.2.3 10.0.0.1 1234 -1\r\n', 'ports'],
    [v2(0x22, 0x11, tcp4), 'version or command'],
    [v2(0x11, 0x11, tcp4), 'version or command'],
    [v2(0x21, 0x12, tcp4), 'address family'],
    [v2(0x21, 0x31, tcp4), 'address family'],
    [v2(0x21, 0x11, tcp4.subarray(1)), 'address family'],
    [v2(0x21, 0x21, tcp4), 'address family'],
  ])('%j is refused for its %s', (text, what) => {
    expect(() => parseProxyHeader(Buffer.from(text))).toThrow(`PROXY header has malformed ${what}`);
  });

  test('that does not end is refused', () => {
    expect(() => parseProxyHeader(Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}`))).toThrow('longer than 107 bytes');
    expect(() => parseProxyHeader(v2(0x21, 0x11, tcp4, 65_535))).toThrow('longer than 4096 bytes');
  });

  test.each(['\x16\x03\x01\x02\x00', 'PRI * HTTP/2.0', 'PROXYING', '\r\n\r\n\x00\r\nQUIZ', 'GET / HTTP/1.1'])(
    '%j is none',
    (text) => {
      expect(parseProxyHeader(Buffer.from(text, 'latin1'))).toEqual({ kind: 'none' });
    },
  );

  test('of any bytes is read or refused, never past its own end', () => {
    const beginnings = fc.constantFrom(signature, Buffer.from('PROXY '), Buffer.alloc(0));
    fc.assert(
      fc.property(beginnings, fc.uint8Array({ maxLength: 200 }), (beginning, rest) => {
        const bytes = Buffer.concat([beginning, rest]);
        try {
          const header = parseProxyHeader(bytes);
          if (header.kind === 'header') expect(header.length).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect((error as Error).message).toMatch(/^PROXY (?:header|line) /);
        }
      }),
    );
  });
});

describe('trusted networks', () => {
  const networks = parseTrustedNetworks(['10.0.0.0/8', '192.0.2.7/32', 'fd00::/8']);

  test.each([
    ['10.255.0.1', true],
    ['::ffff:10.0.0.1', true],
    ['192.0.2.7', true],
    ['fd12::1', true],
    ['192.0.2.8', false],
    ['fe80::1', false],
    ['::ffff:11.0.0.1', false],
    ['not an address', false],
    [undefined, false],
  ])('%s: %s', (address, trusted) => {
    expect(isTrusted(networks, address)).toBe(trusted);
  });

  test.each(['10.0.0.0', '10.0.0.0/33', '::1/129', '10.0.0/8', 'localhost/8', '10.0.0.0/8/8', '10.0.0.0/', '/8', ''])(
    '%j is none',
    (cidr) => {
      expect(() => parseTrustedNetworks([cidr])).toThrow(`invalid CIDR address: ${cidr}`);
    },
  );
});

describe('a connection', () => {
  const ca = createTestCa('example.org');
  const credentials = ca.issue('/spire/server');
  const verifyPeer = clientVerifier({ roots: ca.roots, trustDomain: ca.trustDomain, clock: Date.now });
  const verifyServer = serverVerifier({ expectedId: serverId(ca.trustDomain), roots: ca.roots, clock: Date.now });
  const host = '127.0.0.1';

  /** A server that says where its callers are. */
  async function listen(
    trusted: readonly string[],
    handshakeTimeoutMs = 20_000,
    warn: (fields: object, message: string) => void = () => undefined,
  ): Promise<number> {
    const say: EchoHandlers['say'] = async (_request, { connection }) => ({
      value: connection.transport === 'tcp' ? connection.address : '',
    });
    const rpc = echoServer({ say }, { log: { warn, error: warn } });
    const trustedProxies = parseTrustedNetworks(trusted);
    const options = { host, port: 0, credentials: () => credentials, verifyPeer, handshakeTimeoutMs, trustedProxies };
    return (await rpc.listenTls(options)).port;
  }

  /** Passes connections on, each with these bytes first. */
  async function proxy(port: number, first: Buffer | string): Promise<number> {
    const server = createServer((client: Socket) => {
      const upstream = connectSocket({ host, port }, () => {
        upstream.write(first);
        client.pipe(upstream).pipe(client);
      });
      for (const socket of [client, upstream])
        socket.on('error', () => [client, upstream].forEach((one) => one.destroy()));
    });
    server.listen(0, host);
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  }

  async function seenFrom(port: number): Promise<string> {
    const channel = connect({ host, port, verifyServer });
    onTestFinished(() => channel.close());
    return (await createClient(EchoService, channel).say({ value: '' }, { deadlineMs: 20_000 })).value;
  }

  test.each([
    ['PROXY TCP4 203.0.113.9 10.0.0.1 4711 8081\r\n', '203.0.113.9:4711'],
    [v2(0x21, 0x11, tcp4), '10.1.2.3:1234'],
  ])('from a trusted proxy comes from where %j says', async (header, address) => {
    expect(await seenFrom(await proxy(await listen(['127.0.0.0/8']), header))).toBe(address);
  });

  test.each([['PROXY UNKNOWN\r\n'], [v2(0x20, 0, Buffer.alloc(0))], ['']])(
    'from a trusted proxy that says nothing of it (%j) comes from the proxy',
    async (header) => {
      expect(await seenFrom(await proxy(await listen(['127.0.0.0/8']), header))).toMatch(/^127\.0\.0\.1:\d+$/);
    },
  );

  test('two at once are told apart', async () => {
    const port = await listen(['127.0.0.0/8']);
    const [one, two] = await Promise.all(
      [1, 2].map((n) => proxy(port, `PROXY TCP4 203.0.113.${n} 10.0.0.1 ${n} 8081\r\n`)),
    );
    expect(await Promise.all([seenFrom(one!), seenFrom(two!)])).toEqual(['203.0.113.1:1', '203.0.113.2:2']);
  });

  test('with a header from anywhere else is refused, and without one served', async () => {
    const port = await listen(['10.0.0.0/8']);
    expect(await seenFrom(port)).toMatch(/^127\.0\.0\.1:\d+$/);
    await expect(seenFrom(await proxy(port, 'PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n'))).rejects.toThrow();
  });

  test.each(['PROXY TCP4 somewhere 10.0.0.1 1 2\r\n', 'PROXY '])(
    'from a trusted proxy with %j is ended',
    async (header) => {
      const port = await listen(['127.0.0.0/8'], 200);
      const socket = connectSocket({ host, port });
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(header);
      await once(socket, 'close');
    },
  );

  test.each(['', 'PROXY UNKNOWN\r\n'])(
    'from a trusted proxy that closes after its %j is not warned of; after a byte more it is',
    async (header) => {
      const warnings: string[] = [];
      const port = await listen(['127.0.0.0/8'], undefined, (_fields, message) => void warnings.push(message));
      for (const bytes of [header, `${header}\x16`]) {
        const socket = connectSocket({ host, port }).resume();
        await once(socket, 'connect');
        socket.end(bytes);
        await once(socket, 'close');
      }
      await expect.poll(() => warnings).toEqual(['TLS handshake failed']);
    },
  );
});
