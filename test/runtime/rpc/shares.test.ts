// What one process and one user may have of a Unix socket, and how long a peer may say nothing.
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createShare } from '../../../runtime/rpc/shares.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { callHeaders, closeOf, flags, frame, frameTypes, rawConnection } from '../../support/http2-frames.ts';
import { echo, echoServer, socketPath, unixClient } from './echo-service.ts';

const mode = 0o700;
const shares = {
  connectionsPerProcess: 3,
  connectionsPerUser: 100,
  streamsPerProcess: 5,
  streamsPerUser: 100,
  callsPerSecondPerProcess: 1_000,
  callsPerSecondPerUser: 1_000,
};
const say = '/test.Echo/Say';

async function listen(options: Parameters<typeof echoServer>[1] = {}) {
  const path = await socketPath();
  const server = echoServer(echo, { shares, ...options });
  await server.listenUnix(path, { mode });
  return path;
}

describe('a share', () => {
  const share = createShare('connections', 2, 3);
  const of = (pid: number, uid: number) => ({ transport: 'unix', pid, uid, gid: 0 }) as const;

  test('is full for the process, then for the user, and for nobody else', () => {
    expect([share.enter(of(1, 7)), share.enter(of(1, 7))]).toEqual([undefined, undefined]);
    expect(share.enter(of(1, 7))).toBe('process 1 has 2 connections open');
    expect(share.enter(of(2, 7))).toBeUndefined();
    expect(share.enter(of(3, 7))).toBe('user 7 has 3 connections open');
    expect(share.enter(of(3, 8))).toBeUndefined();
    share.leave(of(1, 7));
    expect(share.enter(of(1, 7))).toBeUndefined();
  });

  test('of a pid that is not visible is that of its user alone', () => {
    const own = createShare('connections', 1, 2);
    expect([own.enter(of(0, 7)), own.enter(of(0, 7))]).toEqual([undefined, undefined]);
    expect(own.enter(of(0, 7))).toBe('user 7 has 2 connections open');
  });
});

test('a connection beyond the share is closed, and one that was closed makes room', async () => {
  const path = await listen();
  const held = await Promise.all(Array.from({ length: 3 }, () => rawConnection(path)));
  await Promise.all(held.map((connection) => connection.sawFrame(frameTypes.settings)));
  const more = connectSocket(path);
  await closeOf(more.on('error', () => undefined));
  held[0]!.socket.destroy();
  // One client, which connects again by itself: each further one would take the room that there is.
  const client = unixClient(path);
  await expect.poll(() => client.say({ value: 'again' }).catch(() => undefined)).toEqual({ value: 'again' });
  for (const { socket } of held) socket.destroy();
});

test('streams whose requests never come are counted; one more gets RESOURCE_EXHAUSTED, until one is reset', async () => {
  const path = await listen();
  const connection = await rawConnection(path);
  const { socket } = connection;
  onTestFinished(() => void socket.destroy());
  await connection.sawFrame(frameTypes.settings);
  for (let index = 0; index < shares.streamsPerProcess; index += 1)
    socket.write(frame(frameTypes.headers, flags.endHeaders, 2 * index + 1, callHeaders(say)));
  const client = unixClient(path);
  await expect
    .poll(() => client.say({ value: '' }).then(Boolean, (error: unknown) => error))
    .toMatchObject({ code: statusCode.RESOURCE_EXHAUSTED, message: `process ${process.pid} has 5 streams open` });
  socket.write(frame(frameTypes.resetStream, 0, 1, Uint8Array.of(0, 0, 0, 8)));
  await expect.poll(() => client.say({ value: 'b' }).catch(() => undefined)).toEqual({ value: 'b' });
});

test('calls that have ended leave nothing behind', async () => {
  const client = unixClient(await listen());
  for (let call = 0; call < 4 * shares.streamsPerProcess; call += 1)
    await expect(client.say({ value: `${call}` })).resolves.toEqual({ value: `${call}` });
});

test('calls that come too often are refused, and then connections too, until their process has rested', async () => {
  const path = await listen({ shares: { ...shares, callsPerSecondPerProcess: 8 } });
  const client = unixClient(path);
  let answered = 0;
  let refusal: unknown;
  while (refusal === undefined)
    refusal = await client.say({ value: '' }).then(
      () => void (answered += 1),
      (error: unknown) => error,
    );
  expect(answered).toBeGreaterThanOrEqual(8);
  expect(refusal).toMatchObject({
    code: statusCode.RESOURCE_EXHAUSTED,
    message: `process ${process.pid} begins more than 8 calls a second`,
  });
  await closeOf(connectSocket(path).on('error', () => undefined));
  // On a connection of its own, which it makes again by itself.
  const rested = unixClient(path);
  await expect
    .poll(() => rested.say({ value: 'again' }).catch(() => undefined), { timeout: 20_000, interval: 1_500 })
    .toEqual({ value: 'again' });
});

test('a connection that goes on opening streams after its refusals is closed', async () => {
  const { socket, closed } = await rawConnection(await listen());
  for (let index = 0; index < 200; index += 1)
    socket.write(frame(frameTypes.headers, flags.endHeaders, 2 * index + 1, callHeaders(say)));
  await closed;
});

test('a peer that says nothing is closed in time, one that has said its preface is not', async () => {
  const path = await listen({ firstWordMs: 300 });
  const speaking = await rawConnection(path);
  onTestFinished(() => void speaking.socket.destroy());
  const silent = connectSocket(path);
  await once(silent, 'connect');
  await closeOf(silent.resume());
  await speaking.sawFrame(frameTypes.settings);
  expect(speaking.socket.destroyed).toBe(false);
  await expect(unixClient(path).say({ value: 'a' })).resolves.toEqual({ value: 'a' });
});
