// What an attacker sends to a whole server, each a row of spire-rules §2 and §6: the server refuses it, and goes on serving the others.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect as connectHttp2, constants } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../../runtime/rpc/client.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import {
  callHeaders,
  closeOf,
  flags,
  frame,
  frameTypes,
  grpcMessage,
  headerBlock,
  rawConnection,
} from '../../support/http2-frames.ts';
import { createEntry, runServer } from '../../support/run-server.ts';
import type { RunningTestServer } from '../../support/run-server.ts';
import { rpcRows } from './api/matrix/rpcs.ts';

const getBundle = '/spire.api.server.bundle.v1.Bundle/GetBundle';
let server: RunningTestServer;
beforeAll(async () => {
  server = await runServer();
});
afterAll(() => server.close());

/** Whatever came before: another caller is served. */
afterEach(async () => {
  await expect(server.local.bundle.getBundle({ outputMask: undefined })).resolves.toMatchObject({
    trustDomain: 'example.org',
  });
});

interface RawCall {
  readonly path?: string;
  readonly body?: Uint8Array;
  readonly headers?: Record<string, string>;
}

/** One call over the private socket by Node's own HTTP/2 client, which takes any path. */
async function rawCall({ path = getBundle, body = grpcMessage(Buffer.alloc(0)), headers = {} }: RawCall) {
  const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(server.socketPath) });
  session.on('error', () => undefined);
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  let [status, message] = ['', ''];
  const note = (found: IncomingHttpHeaders): void => {
    const [code, text] = [found['grpc-status'], found['grpc-message']];
    if (typeof code !== 'string') return;
    status = code;
    message = typeof text === 'string' ? decodeURIComponent(text) : '';
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.resume();
  stream.end(body);
  await closeOf(stream);
  session.destroy();
  return { code: status === '' ? `reset ${stream.rstCode}` : Number(status), message };
}

describe('a method is found by its exact path and no other', () => {
  test('which is served', async () => {
    expect(await rawCall({})).toEqual({ code: statusCode.OK, message: '' });
  });

  test.each([
    `/${getBundle}`,
    getBundle.replace('/GetBundle', '//GetBundle'),
    `${getBundle}/`,
    `${getBundle}?`,
    getBundle.toLowerCase(),
    getBundle.replace('GetBundle', 'getBundle'),
    getBundle.replace('GetBundle', '%47etBundle'),
    getBundle.replace('Bundle/', 'Bundle/./'),
    `/x/..${getBundle}`,
    '/spire.api.server.bundle.v1.Bundle/__proto__',
    '/spire.api.server.bundle.v1.Bundle/constructor',
    '/',
  ])('%s is unimplemented, even for an admin', async (path) => {
    expect((await rawCall({ path })).code).toBe(statusCode.UNIMPLEMENTED);
  });
});

test.each([getBundle.slice(1), '*', ''])('the path "%s" is no path: HTTP/2 itself refuses it', async (path) => {
  const connection = await rawConnection(server.socketPath);
  connection.socket.write(frame(frameTypes.headers, flags.endHeaders | flags.endStream, 1, callHeaders(path)));
  await connection.sawFrame(frameTypes.resetStream);
  connection.socket.destroy();
});

describe('a message', () => {
  const limit = 4 * 1024 * 1024;

  test('that is announced larger than 4 MiB is refused before it arrives', async () => {
    const body = grpcMessage(Buffer.alloc(10), { length: limit + 1 });
    expect((await rawCall({ body })).code).toBe(statusCode.RESOURCE_EXHAUSTED);
  });

  test('that is announced as 4 GiB is refused before it arrives', async () => {
    const body = grpcMessage(Buffer.alloc(10), { length: 0xffff_ffff });
    expect((await rawCall({ body })).code).toBe(statusCode.RESOURCE_EXHAUSTED);
  });

  test('that would inflate to more than 4 MiB is refused as it is', async () => {
    const bomb = gzipSync(Buffer.alloc(16 * limit));
    const body = grpcMessage(bomb, { compressed: true });
    expect((await rawCall({ body, headers: { 'grpc-encoding': 'gzip' } })).code).toBe(statusCode.UNIMPLEMENTED);
  });

  test.each(['gzip', 'deflate', 'br', 'identity'])('that says %s and is not is refused', async (encoding) => {
    const body = grpcMessage(Buffer.from('not compressed'), { compressed: true });
    const { code } = await rawCall({ body, headers: { 'grpc-encoding': encoding } });
    expect(code).toBe(statusCode.UNIMPLEMENTED);
  });

  test('in a few frames is read', async () => {
    const connection = await rawConnection(server.socketPath);
    connection.socket.write(frame(frameTypes.headers, flags.endHeaders, 1, callHeaders(getBundle)));
    // A field that nobody knows, as long as it takes.
    const message = grpcMessage(Buffer.concat([Buffer.from([0xfa, 0x3f, 0x14]), Buffer.alloc(20)]));
    const frames = [...message].map((byte) => frame(frameTypes.data, 0, 1, Uint8Array.of(byte)));
    connection.socket.write(Buffer.concat([...frames, frame(frameTypes.data, flags.endStream, 1)]));
    await connection.sawFrame(frameTypes.data);
    connection.socket.destroy();
  });

  test('in frames of one byte each is refused before many of them are taken', async () => {
    const connection = await rawConnection(server.socketPath);
    connection.socket.write(frame(frameTypes.headers, flags.endHeaders, 1, callHeaders(getBundle)));
    // Of the 32 KiB that it announces a thousandth comes.
    const message = grpcMessage(Buffer.alloc(100), { length: 32_768 });
    connection.socket.write(
      Buffer.concat([...message].map((byte) => frame(frameTypes.data, 0, 1, Uint8Array.of(byte)))),
    );
    await connection.sawFrame(frameTypes.resetStream);
    connection.socket.destroy();
  });
});

describe('metadata', () => {
  test('above 16 KiB is refused', async () => {
    const { code, message } = await rawCall({ headers: { 'x-long': 'a'.repeat(16 * 1024) } });
    expect(code).toBe(statusCode.RESOURCE_EXHAUSTED);
    expect(message).toMatch(/^metadata has 16\d\d\d bytes, at most 16384 are taken$/);
  });

  test('above 16 KiB is refused by HTTP/2 itself, once the caller has heard of the limit', async () => {
    const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(server.socketPath) });
    const settings = (await once(session, 'remoteSettings')) as [{ maxHeaderListSize?: number }];
    expect(settings[0].maxHeaderListSize).toBe(16 * 1024);
    await new Promise((resolve) => session.ping(resolve)); // by now the server knows that we have
    const more = { 'content-type': 'application/grpc', 'x-long': 'a'.repeat(16 * 1024) };
    const stream = session.request({ ':method': 'POST', ':path': getBundle, ...more });
    stream.on('error', () => undefined);
    stream.resume().end(grpcMessage(Buffer.alloc(0)));
    await closeOf(stream);
    expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    session.destroy();
  });

  test('far above it never gets to a handler', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`x-${index}`, 'a'.repeat(2_000)]));
    const { code } = await rawCall({ headers: many }).catch(() => ({ code: 'refused' }));
    expect(code).not.toBe(statusCode.OK);
  });

  test.each([
    'x-forwarded-client-cert',
    'x_forwarded_client_cert',
    'x-forwarded-for',
    'x-forwarded-client-ip',
    'x-untrusted-forwarded-host',
    'x-spiffe-id',
    'authorization',
  ])('named %s makes nobody an admin', async (name) => {
    const clients = await server.connectAs('spiffe://example.org/workload');
    const value = 'By=spiffe://example.org/spire/server;URI=spiffe://example.org/admin';
    await expect(
      clients.entry.countEntries({ filter: undefined }, { metadata: { [name]: value } }),
    ).rejects.toMatchObject({ code: statusCode.PERMISSION_DENIED });
  });
});

describe('HTTP/2', () => {
  test('lets at most 1,000 calls run on a connection', async () => {
    const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(server.socketPath) });
    const [settings] = (await once(session, 'remoteSettings')) as [{ maxConcurrentStreams?: number }];
    session.destroy();
    expect(settings.maxConcurrentStreams).toBe(1_000);
  });

  test('lets a peer without a certificate run a hundred', async () => {
    const options = { host: '127.0.0.1', port: server.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const session = connectHttp2('https://localhost', { createConnection: () => connectTls(options) });
    const [settings] = (await once(session, 'remoteSettings')) as [{ maxConcurrentStreams?: number }];
    session.destroy();
    expect(settings.maxConcurrentStreams).toBe(100);
  });

  test('with headers that are not HPACK ends that connection', async () => {
    for (let round = 0; round < 50; round += 1) {
      const { socket, closed } = await rawConnection(server.socketPath);
      const noise = Uint8Array.from({ length: 64 }, (_, index) => (index * 37 + round * 101) & 0xff);
      socket.write(frame(frameTypes.headers, flags.endHeaders | flags.endStream, 1, Uint8Array.of(0x80, ...noise)));
      await closed;
    }
  });

  test('with calls that are reset as soon as they are made ends that connection', async () => {
    const { socket, closed } = await rawConnection(server.socketPath);
    const cancel = Uint8Array.of(0, 0, 0, 8);
    const burst = Array.from({ length: 20_000 }, (_, index) => [
      frame(frameTypes.headers, flags.endHeaders, 2 * index + 1, callHeaders(getBundle)),
      frame(frameTypes.resetStream, 0, 2 * index + 1, cancel),
    ]);
    socket.write(Buffer.concat(burst.flat()));
    await closed;
  });

  test('with CONTINUATION frames without end ends that connection', async () => {
    const { socket, closed } = await rawConnection(server.socketPath);
    socket.write(frame(frameTypes.headers, 0, 1, callHeaders(getBundle)));
    const more = Array.from({ length: 2_000 }, (_, index) =>
      frame(frameTypes.continuation, 0, 1, headerBlock([[`x-${index}`, 'a'.repeat(500)]])),
    );
    socket.write(Buffer.concat(more));
    await closed;
  });

  test('that breaks off within a header block leaves nothing behind', async () => {
    for (let round = 0; round < 100; round += 1) {
      const { socket } = await rawConnection(server.socketPath);
      socket.write(frame(frameTypes.headers, 0, 1, callHeaders(getBundle)));
      socket.write(frame(frameTypes.continuation, 0, 1, headerBlock([['x', 'y']])), () => socket.destroy());
    }
  });

  test.each([
    ['PING', frame(frameTypes.ping, 0, 0, new Uint8Array(8))],
    ['SETTINGS', frame(frameTypes.settings, 0, 0)],
  ])('with %s frames whose answers are not read ends that connection', async (_, asking) => {
    const { socket, closed } = await rawConnection(server.socketPath);
    socket.pause(); // what it is answered piles up
    const burst = Buffer.concat(Array.from({ length: 10_000 }, () => asking));
    const writes = setInterval(() => socket.write(burst), 5);
    try {
      await Promise.race([closed, once(socket, 'error')]);
    } finally {
      clearInterval(writes);
      socket.destroy();
    }
  });

  test('with WINDOW_UPDATE frames without end is kept up with: they leave nothing behind, and the next call is served', async () => {
    const connection = await rawConnection(server.socketPath);
    const one = frame(frameTypes.windowUpdate, 0, 0, Uint8Array.of(0, 0, 0, 1));
    connection.socket.write(Buffer.concat(Array.from({ length: 100_000 }, () => one)));
    connection.socket.write(
      Buffer.concat([
        frame(frameTypes.headers, flags.endHeaders, 1, callHeaders(getBundle)),
        frame(frameTypes.data, flags.endStream, 1, grpcMessage(new Uint8Array())),
      ]),
    );
    await connection.sawFrame(frameTypes.data);
    connection.socket.destroy();
  });

  test('with a window that is opened too far ends that connection', async () => {
    const { socket, closed } = await rawConnection(server.socketPath);
    socket.write(frame(frameTypes.windowUpdate, 0, 0, Uint8Array.of(0x7f, 0xff, 0xff, 0xff)));
    await closed;
  });

  test('with empty DATA frames without end ends that connection', async () => {
    const { socket, closed } = await rawConnection(server.socketPath);
    socket.write(frame(frameTypes.headers, flags.endHeaders, 1, callHeaders(getBundle)));
    socket.write(Buffer.concat(Array.from({ length: 5_000 }, () => frame(frameTypes.data, 0, 1))));
    await closed;
  });

  test.each([
    [
      'a window that grows by nothing',
      (stream: number) => frame(frameTypes.windowUpdate, 0, stream, new Uint8Array(4)),
    ],
    [
      'a window that is opened too far',
      (stream: number) => frame(frameTypes.windowUpdate, 0, stream, Uint8Array.of(0x7f, 0xff, 0xff, 0xff)),
    ],
    ['data after its end', (stream: number) => frame(frameTypes.data, 0, stream, new Uint8Array(8))],
  ])('with calls that it makes the server reset, by %s, ends that connection', async (_, provoke) => {
    const { socket, closed } = await rawConnection(server.socketPath);
    const burst = Array.from({ length: 20_000 }, (_unused, index) => [
      frame(frameTypes.headers, flags.endHeaders | flags.endStream, 2 * index + 1, callHeaders(getBundle)),
      provoke(2 * index + 1),
    ]);
    socket.write(Buffer.concat(burst.flat()));
    await closed;
  });
});

describe('every method', () => {
  const deepGroups = new Uint8Array(100_000).fill(0x0b);
  const bodies: readonly (readonly [string, Uint8Array])[] = [
    ['groups without end', deepGroups],
    ['a length beyond the message', Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ['a varint without end', new Uint8Array(64).fill(0xff)],
    ['field number 0', Uint8Array.of(0x00, 0x00)],
    ['an end of a group that never began', Uint8Array.of(0x0c)],
    ['noise', Uint8Array.from({ length: 200 }, (_, index) => (index * 73) & 0xff)],
  ];

  test.each(bodies)('refuses %s, or passes over it', async (_, body) => {
    for (const { method, definition } of rpcRows) {
      const raw = { method: { ...definition, requestSerialize: () => Buffer.from(body) } };
      const call = createClient(raw, server.localChannel).method as unknown as (
        request: unknown,
        options: object,
      ) => Promise<unknown> & AsyncIterable<unknown>;
      const request = definition.requestStream ? oneOf(undefined) : undefined;
      const answer = call(request, { signal: AbortSignal.timeout(20_000) });
      const code = await settle(answer, definition.responseStream);
      expect([statusCode.UNKNOWN, statusCode.UNAVAILABLE, statusCode.DEADLINE_EXCEEDED], method).not.toContain(code);
    }
  });
});

async function* oneOf<T>(value: T): AsyncGenerator<T> {
  yield value;
}

async function settle(answer: Promise<unknown> & AsyncIterable<unknown>, isStream: boolean): Promise<number> {
  try {
    if (isStream) for await (const first of answer) return first === undefined ? 0 : 0;
    else await answer;
    return 0;
  } catch (error) {
    return (error as { code: number }).code;
  }
}

describe('TLS', () => {
  const dial = async (options: ConnectionOptions): Promise<{ socket: TLSSocket; outcome: string }> => {
    const socket = connectTls({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, ...options });
    const outcome = await new Promise<string>((resolve) => {
      socket.once('secureConnect', () => resolve('connected'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.once('close', () => resolve('closed'));
    });
    socket.on('error', () => undefined);
    return { socket, outcome };
  };

  test.each(['TLSv1', 'TLSv1.1'] as const)('%s is refused', async (version) => {
    const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0', ALPNProtocols: ['h2'] };
    expect((await dial(old)).outcome).not.toBe('connected');
  });

  test.each([[['http/1.1']], [[]]])('without h2 among its protocols (%s) is refused', async (protocols: string[]) => {
    const { socket, outcome } = await dial({ ALPNProtocols: protocols });
    if (outcome === 'connected') await closeOf(socket);
    expect(socket.destroyed).toBe(true);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a session of %s is not resumed', async (version) => {
    const options = { minVersion: version, maxVersion: version, ALPNProtocols: ['h2'] };
    const first = await dial(options);
    let ticket = first.socket.getSession();
    first.socket.on('session', (session) => (ticket = session));
    first.socket.resume();
    first.socket.end();
    await closeOf(first.socket);
    const second = await dial({ ...options, ...(ticket === undefined ? {} : { session: ticket }) });
    expect(second.outcome).toBe('connected');
    expect(second.socket.isSessionReused()).toBe(false);
    second.socket.destroy();
  });

  test.each(['a.test', 'A.TEST', 'xn--', 'a'.repeat(255), 'localhost\0.test'])(
    'the server name %s changes nothing',
    async (servername) => {
      const { socket, outcome } = await dial({ servername, ALPNProtocols: ['h2'] }).catch(() => ({
        socket: undefined,
        outcome: 'not sent',
      }));
      socket?.destroy();
      expect(outcome).toBeDefined();
    },
  );
});

describe('what a caller leaves behind', () => {
  const openFiles = () => readdirSync('/proc/self/fd').length;

  test('is nothing, when it connects and goes, five hundred times', async () => {
    await server.local.bundle.countBundles({});
    const before = openFiles();
    for (let round = 0; round < 50; round += 1) {
      const sockets = Array.from({ length: 10 }, () => connectSocket(server.socketPath));
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      const closed = sockets.map(closeOf);
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    }
    await expect.poll(openFiles).toBeLessThanOrEqual(before + 2);
  });

  test('in the logs is no join token, no selector and no token that was minted', async () => {
    const { value } = await server.local.agent.createJoinToken({
      ttl: 60,
      token: 'secret-join-token',
      agentId: undefined,
    });
    const selector = { type: 'unix', value: 'path:/very/private' };
    await createEntry(server.local, '/logged', '/node', { selectors: [selector] });
    const id = { trustDomain: 'example.org', path: '/logged' };
    const { svid } = await server.local.svid.mintJwtsvid({ id, audience: ['a'], ttl: 0 });
    await server.local.agent.createJoinToken({ ttl: 60, token: value, agentId: undefined }).catch(() => undefined);
    const text = server.lines.join('');
    for (const secret of [value, selector.value, svid!.token, 'PRIVATE KEY']) expect(text).not.toContain(secret);
  });
});
