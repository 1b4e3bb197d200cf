// Calls that a server refuses before it looks at them, as it does when it closes a connection: the client makes them again, once, and no others.
import { constants, createServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { grpcMessage } from '../../support/http2-frames.ts';
import { collect, socketPath, unixClient } from './echo-service.ts';

/** Answers each call as the next of these says, with an empty message where none is left. */
async function serverThat(...answers: ((stream: ServerHttp2Stream) => void)[]) {
  const path = await socketPath();
  let calls = 0;
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    const answer = answers[calls] ?? succeed;
    calls += 1;
    answer(stream);
  });
  server.listen(path);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { client: unixClient(path), calls: () => calls };
}

function succeed(stream: ServerHttp2Stream): void {
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.end(grpcMessage(Buffer.alloc(0)));
}

const resetWith = (code: number) => (stream: ServerHttp2Stream) => stream.close(code);
const refuse = resetWith(constants.NGHTTP2_REFUSED_STREAM);

test('a call that was refused unseen is made again', async () => {
  const { client, calls } = await serverThat(refuse);
  expect(await client.say({ value: 'x' })).toEqual({ value: '' });
  expect(calls()).toBe(2);
});

test('so is a stream', async () => {
  const { client, calls } = await serverThat(refuse);
  expect(await collect(client.repeat({ value: 'x' }))).toEqual(['']);
  expect(calls()).toBe(2);
});

test('a call that is refused again is not made a third time', async () => {
  const { client, calls } = await serverThat(refuse, refuse);
  await expect(client.say({ value: 'x' })).rejects.toMatchObject({ code: statusCode.UNAVAILABLE });
  expect(calls()).toBe(2);
});

test.each([
  ['that may have been looked at', resetWith(constants.NGHTTP2_INTERNAL_ERROR), statusCode.INTERNAL],
  ['that was cut off', (stream: ServerHttp2Stream) => stream.session?.destroy(), statusCode.UNAVAILABLE],
  [
    'that got a status',
    (stream: ServerHttp2Stream) =>
      stream.respond({ 'grpc-status': String(statusCode.UNAVAILABLE) }, { endStream: true }),
    statusCode.UNAVAILABLE,
  ],
])('a call %s is made once', async (_, answer, code) => {
  const { client, calls } = await serverThat(answer);
  await expect(client.say({ value: 'x' })).rejects.toMatchObject({ code });
  expect(calls()).toBe(1);
});

test('no call is lost while connections grow old under it', async () => {
  const path = await socketPath();
  const server = createServer();
  let retired = 0;
  // By its calls and not by a time, after which a busy machine may have one grow old that has taken none: what is made again finds a young one.
  server.on('session', (session) => {
    let taken = 0;
    session
      .on('error', () => undefined)
      .on('stream', (stream) => {
        stream.on('error', () => undefined);
        succeed(stream);
        taken += 1;
        if (taken !== 100) return;
        session.close();
        retired += 1;
      });
  });
  server.listen(path);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const client = unixClient(path);
  const caller = async (): Promise<void> => {
    while (retired < 30) expect(await client.say({ value: 'x' })).toEqual({ value: '' });
  };
  await Promise.all(Array.from({ length: 16 }, caller));
});
