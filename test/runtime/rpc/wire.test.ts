// What the server says on the wire, to a client that is not ours: Node's own HTTP/2, and frames by hand.
import { Metadata } from '@grpc/grpc-js';
import { connect as connectHttp2, constants } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import type { RpcServerOptions } from '../../../runtime/rpc/server.ts';
import { invalidArgument, statusCode } from '../../../runtime/rpc/status.ts';
import { callHeaders, flags, frame, frameTypes, grpcMessage, rawConnection } from '../../support/http2-frames.ts';
import { closeOf } from '../../support/http2-frames.ts';
import { aborted, echo, echoServer, settled, socketPath } from './echo-service.ts';
import type { EchoHandlers } from './echo-service.ts';

const messageOf = (value: string): Buffer => grpcMessage(StringValue.encode({ value }).finish());

async function session(handlers: EchoHandlers = echo, options: RpcServerOptions = {}): Promise<ClientHttp2Session> {
  const path = await socketPath();
  await echoServer(handlers, options).listenUnix(path, { mode: 0o700 });
  const opened = connectHttp2('http://localhost', { createConnection: () => connectSocket(path) });
  onTestFinished(() => opened.destroy());
  return opened;
}

interface Said {
  readonly response: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

function begin(on: ClientHttp2Session, path = '/test.Echo/Say', headers: Record<string, string> = {}) {
  const given = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers };
  const stream = on.request(given);
  stream.on('error', () => undefined);
  let [response, trailers]: [IncomingHttpHeaders, IncomingHttpHeaders] = [{}, {}];
  const pieces: Buffer[] = [];
  stream.on('response', (found: IncomingHttpHeaders) => (response = fieldsOf(found)));
  stream.on('trailers', (found: IncomingHttpHeaders) => (trailers = fieldsOf(found)));
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  const said = closeOf(stream).then((): Said => ({ response, trailers, body: Buffer.concat(pieces) }));
  return { stream, said };
}

/** Without what Node adds. */
function fieldsOf(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers));
}

async function call(on: ClientHttp2Session, body: Uint8Array, path?: string, headers?: Record<string, string>) {
  const { stream, said } = begin(on, path, headers);
  stream.end(body);
  return said;
}

test('an answer is headers, one message and the status in trailers', async () => {
  const { response, trailers, body } = await call(await session(), messageOf('hello'));
  expect(response).toEqual({ ':status': 200, 'content-type': 'application/grpc' });
  expect(trailers).toEqual({ 'grpc-status': '0' });
  expect(body).toEqual(messageOf('hello'));
});

test('a refusal without an answer is headers alone, its text in printable ASCII', async () => {
  const text = ' naïve\n100 % "sure" – \ud83d ';
  const refuse: EchoHandlers = { say: () => Promise.reject(invalidArgument(text)) };
  const { response, trailers, body } = await call(await session(refuse), messageOf(''));
  expect(response['grpc-status']).toBe(String(statusCode.INVALID_ARGUMENT));
  expect(response['grpc-message']).toMatch(/^[\x21-\x7e]+$/);
  expect(decodeURIComponent(String(response['grpc-message']))).toBe(text.replace('\ud83d', '\ufffd'));
  expect([trailers, body.length]).toEqual([{}, 0]);
});

test.each([
  ['another method than POST', { ':method': 'GET' }, constants.HTTP_STATUS_METHOD_NOT_ALLOWED],
  ['another content type', { 'content-type': 'application/json' }, constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE],
])('%s gets the answer of HTTP', async (_, headers, status) => {
  const { response } = await call(await session(), messageOf(''), undefined, headers);
  expect([response[':status'], response['grpc-status']]).toEqual([status, undefined]);
});

test.each([
  ['/test.Echo/Sing', 'unknown method Sing for service test.Echo'],
  ['/test.Choir/Say', 'unknown service test.Choir'],
  ['/Say', 'unknown service '],
])('%s is not there', async (path, message) => {
  const { response } = await call(await session(), messageOf(''), path);
  expect(response['grpc-status']).toBe(String(statusCode.UNIMPLEMENTED));
  expect(decodeURIComponent(String(response['grpc-message']))).toBe(message);
});

test.each([
  ['no request', Buffer.alloc(0), statusCode.UNIMPLEMENTED],
  ['two requests', Buffer.concat([messageOf('a'), messageOf('b')]), statusCode.UNIMPLEMENTED],
  ['half a request', messageOf('hello').subarray(0, 9), statusCode.INTERNAL],
  ['half a header', messageOf('hello').subarray(0, 3), statusCode.INTERNAL],
  ['a request and the beginning of another', Buffer.concat([messageOf('a'), Buffer.of(0)]), statusCode.INTERNAL],
  ['a flag that nobody knows', Buffer.of(2, 0, 0, 0, 0), statusCode.INTERNAL],
  ['what is no protobuf', grpcMessage(Buffer.of(0x0a, 0xff)), statusCode.INTERNAL],
])('a method that takes one request refuses %s', async (_, body, code) => {
  const { response } = await call(await session(), body);
  expect(response['grpc-status']).toBe(String(code));
});

test('a status that HTTP/2 does not take is logged, cuts its call and keeps no place', async () => {
  const logged: string[] = [];
  const log = { warn: () => undefined, error: (_fields: object, message: string) => logged.push(message) };
  const metadata = new Metadata();
  metadata.set('connection', 'close');
  const say: EchoHandlers['say'] = (request) =>
    request.value === 'fine' ? Promise.resolve(request) : Promise.reject(invalidArgument('no', { metadata }));
  const on = await session({ say }, { log, maxRunningCalls: 1 });
  const { stream, said } = begin(on);
  stream.end(messageOf('strange'));
  expect((await said).response).toEqual({});
  expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR);
  expect(logged).toEqual(['call did not end as it should']);
  expect((await call(on, messageOf('fine'))).trailers).toEqual({ 'grpc-status': '0' });
});

test('requests are found wherever the frames are cut', async () => {
  const on = await session();
  const bytes = Buffer.concat(['a', '', 'b'.repeat(300), 'c'].map(messageOf));
  for (const size of [1, 4, 5, 6, 7, 100, bytes.length]) {
    const { stream, said } = begin(on, '/test.Echo/Join');
    for (let at = 0; at < bytes.length; at += size) {
      stream.write(bytes.subarray(at, at + size));
      if (size >= 100) await new Promise((resolve) => on.ping(resolve));
    }
    stream.end();
    expect((await said).body, `${size}`).toEqual(messageOf(`a  ${'b'.repeat(300)} c`));
  }
});

test.each([0, 1, 16_379, 16_384, 16_385, 65_536, 3_000_000])(
  'an answer of %i bytes and more arrives whole',
  async (length) => {
    const value = 'x'.repeat(length);
    const repeat: EchoHandlers['repeat'] = async function* () {
      yield { value };
      yield { value };
    };
    const on = await session({ ...echo, repeat });
    expect((await call(on, messageOf(value))).body.equals(messageOf(value))).toBe(true);
    const twice = Buffer.concat([messageOf(value), messageOf(value)]);
    expect((await call(on, messageOf(''), '/test.Echo/Repeat')).body.equals(twice)).toBe(true);
  },
);

test('a caller that goes on sending after its refusal is told to stop', async () => {
  const { stream, said } = begin(await session(echo, { maxMessageBytes: 100 }));
  stream.write(grpcMessage(Buffer.alloc(10), { length: 1_000_000 }));
  const { response } = await said; // without an end of the body
  expect(response['grpc-status']).toBe(String(statusCode.RESOURCE_EXHAUSTED));
  expect(decodeURIComponent(String(response['grpc-message']))).toBe(
    'received message larger than max (1000000 vs. 100)',
  );
});

test('requests that the handler does not ask for stay with the caller', async () => {
  const gate = settled<undefined>();
  const join: EchoHandlers['join'] = async (requests) => {
    await gate.promise;
    let letters = 0;
    for await (const { value } of requests) letters += value.length;
    return { value: `${letters}` };
  };
  const { stream, said } = begin(await session({ join }), '/test.Echo/Join');
  const large = messageOf('x'.repeat(2 ** 16));
  let gone = 0;
  for (let sent = 0; sent < 100; sent += 1) stream.write(large, () => (gone += 1));
  stream.end();
  await delay(300);
  expect(gone).toBeLessThan(20);
  gate.resolve(undefined);
  expect((await said).body).toEqual(messageOf(`${100 * 2 ** 16}`));
});

test.each(['1', 'S', '123456789S', '-1S', '1s', ''])('the timeout "%s" is refused', async (timeout) => {
  const { response } = await call(await session(), messageOf(''), undefined, { 'grpc-timeout': timeout });
  expect(response['grpc-status']).toBe(String(statusCode.INTERNAL));
});

test.each(['50m', '50000u', '50000000n'])('a call whose timeout is %s ends by itself', async (timeout) => {
  const told = settled<number>();
  const say: EchoHandlers['say'] = async (request, { signal }) => {
    await aborted(signal);
    told.resolve((signal.reason as { code: number }).code);
    return request;
  };
  const { response } = await call(await session({ say }), messageOf(''), undefined, { 'grpc-timeout': timeout });
  expect(response['grpc-status']).toBe(String(statusCode.DEADLINE_EXCEEDED));
  expect(await told.promise).toBe(statusCode.DEADLINE_EXCEEDED);
});

test.each(['99999999H', '1M', '20S'])('a call whose timeout is %s is answered', async (timeout) => {
  const { trailers } = await call(await session(), messageOf(''), undefined, { 'grpc-timeout': timeout });
  expect(trailers['grpc-status']).toBe('0');
});

test('a connection that has grown old ends when the calls that run on it have ended, and takes no others', async () => {
  const path = await socketPath();
  const gate = settled<undefined>();
  const taken: string[] = [];
  const say: EchoHandlers['say'] = async (request) => {
    taken.push(request.value);
    await gate.promise;
    return request;
  };
  await echoServer({ say }, { maxConnectionAgeMs: 100 }).listenUnix(path, { mode: 0o700 });
  const { socket, closed, sawFrame } = await rawConnection(path);
  const call = (id: number, value: string): Buffer =>
    Buffer.concat([
      frame(frameTypes.headers, flags.endHeaders, id, callHeaders('/test.Echo/Say')),
      frame(frameTypes.data, flags.endStream, id, messageOf(value)),
    ]);
  socket.write(call(1, 'early'));
  const { payload } = await sawFrame(frameTypes.goaway);
  expect([payload.readUInt32BE(0), payload.readUInt32BE(4)]).toEqual([1, constants.NGHTTP2_NO_ERROR]);
  socket.write(call(3, 'late'));
  gate.resolve(undefined);
  expect((await sawFrame(frameTypes.data)).payload).toEqual(messageOf('early'));
  await closed;
  expect(taken).toEqual(['early']);
});
