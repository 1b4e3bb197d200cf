import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { lstat, writeFile } from 'node:fs/promises';
import { connect as connectSocket, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { UnixConnection } from '../../../runtime/rpc/connection.ts';
import { readStartTime } from '../../../runtime/rpc/process-start.ts';
import { RpcError, statusCode } from '../../../runtime/rpc/status.ts';
import { listenOnUnixSocket } from '../../../runtime/rpc/unix-listener.ts';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import { echo, EchoService, echoServer, settled, socketPath, unixClient } from './echo-service.ts';

const mode = 0o700;

test('a handler learns from the kernel which process calls', async () => {
  const path = await socketPath();
  const server = echoServer({ say: async (_request, { connection }) => ({ value: JSON.stringify(connection) }) });
  await server.listenUnix(path, { mode });
  const { value } = await unixClient(path).say({ value: '' });
  expect(JSON.parse(value)).toEqual({
    transport: 'unix',
    pid: process.pid,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
    startTime: readStartTime(process.pid),
  });
});

test('another process is told apart from this one, though it does not say a word', async () => {
  const path = await socketPath();
  const accepted: UnixConnection[] = [];
  const server = await listenOnUnixSocket({
    path,
    mode,
    log: undefined,
    accept: (socket, connection) => {
      accepted.push(connection);
      socket.end('seen');
    },
  });
  onTestFinished(() => void server.close());
  const program = `require('node:net').connect(${JSON.stringify(path)}).resume()`;
  const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
  await once(child, 'exit');
  expect(accepted.map(({ pid }) => pid)).toEqual([child.pid]);
});

test('calls of two connections at once each see their own caller', async () => {
  const path = await socketPath();
  const server = echoServer({ say: async (_request, { connection }) => ({ value: connection.transport }) });
  await server.listenUnix(path, { mode });
  const answers = await Promise.all([unixClient(path), unixClient(path)].map((client) => client.say({ value: '' })));
  expect(answers).toEqual([{ value: 'unix' }, { value: 'unix' }]);
});

test('the socket has the mode that was asked for, and is gone after the server', async () => {
  const path = await socketPath();
  const server = echoServer();
  await server.listenUnix(path, { mode: 0o770 });
  expect(((await lstat(path)).mode & 0o777).toString(8)).toBe('770');
  await server.close(0);
  await expect(lstat(path)).rejects.toThrow('ENOENT');
});

test('a socket left over from a killed process is replaced', async () => {
  const path = await socketPath();
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', program], { stdio: 'ignore' }), 'exit');
  expect((await lstat(path)).isSocket()).toBe(true);
  await echoServer().listenUnix(path, { mode });
  expect(await unixClient(path).say({ value: 'new' })).toEqual({ value: 'new' });
});

test('a socket that another server answers on is left alone', async () => {
  const path = await socketPath();
  await echoServer().listenUnix(path, { mode });
  await expect(echoServer().listenUnix(path, { mode })).rejects.toThrow(`another process listens on ${path}`);
  expect(await unixClient(path).say({ value: 'first' })).toEqual({ value: 'first' });
});

test('a file that is no socket is left alone', async () => {
  const path = await socketPath();
  await writeFile(path, 'precious');
  await expect(echoServer().listenUnix(path, { mode })).rejects.toThrow(`not a socket: ${path}`);
});

test('a path that the kernel would cut is refused', async () => {
  const path = `/tmp/${'x'.repeat(110)}`;
  await expect(echoServer().listenUnix(path, { mode })).rejects.toThrow('socket path has 115 bytes, at most 107');
});

test('a client reconnects by itself after the server was restarted', async () => {
  const path = await socketPath();
  const first = echoServer({ say: async () => ({ value: 'first' }) });
  await first.listenUnix(path, { mode });
  const client = unixClient(path);
  expect(await client.say({ value: '' })).toEqual({ value: 'first' });
  await first.close(0);
  const failure = await client.say({ value: '' }).catch((error: unknown) => error as RpcError);
  expect((failure as RpcError).code).toBe(statusCode.UNAVAILABLE);
  await echoServer({ say: async () => ({ value: 'second' }) }).listenUnix(path, { mode });
  await expect.poll(() => client.say({ value: '' }).catch(() => undefined)).toEqual({ value: 'second' });
});

test('a call to nobody fails at once and says why', async () => {
  const path = await socketPath();
  const failure = await unixClient(path)
    .say({ value: '' })
    .catch((error: unknown) => error as RpcError);
  expect(failure).toBeInstanceOf(RpcError);
  expect(failure).toMatchObject({ code: statusCode.UNAVAILABLE });
  expect((failure as RpcError).message).toContain('ENOENT');
});

test('a peer that connects and says nothing, or rubbish, disturbs nobody, and does not hold up the end', async () => {
  const path = await socketPath();
  const server = echoServer();
  await server.listenUnix(path, { mode });
  const silent = connectSocket(path).resume();
  await once(silent, 'connect');
  const rude = connectSocket(path).resume();
  rude.on('error', () => undefined);
  rude.end('GET / HTTP/1.1\r\n\r\n');
  await once(rude, 'close');
  expect(await unixClient(path).say({ value: 'fine' })).toEqual({ value: 'fine' });
  await server.close(50);
  if (!silent.closed) await once(silent, 'close');
});

test('a server that stops lets a running call end', async () => {
  const path = await socketPath();
  const [begun, gate] = [settled<undefined>(), settled<undefined>()];
  const server = echoServer({
    async say(request) {
      begun.resolve(undefined);
      await gate.promise;
      return request;
    },
  });
  await server.listenUnix(path, { mode });
  const call = unixClient(path).say({ value: 'late' });
  await begun.promise;
  const closing = server.close(60_000);
  gate.resolve(undefined);
  await closing;
  expect(await call).toEqual({ value: 'late' });
});

test('a channel that is closed ends the calls that still run', async () => {
  const path = await socketPath();
  const begun = settled<undefined>();
  const server = echoServer({
    say() {
      begun.resolve(undefined);
      return new Promise(() => undefined);
    },
  });
  await server.listenUnix(path, { mode });
  const channel = connect({ unixPath: path });
  const call = createClient(EchoService, channel).say({ value: '' });
  call.catch(() => undefined);
  await begun.promise;
  channel.close();
  await expect(call).rejects.toMatchObject({ code: statusCode.UNAVAILABLE });
});

test('a server that never speaks costs a caller its deadline and no more', async () => {
  const path = await socketPath();
  const mute = createServer((socket: Socket) => socket.on('error', () => undefined));
  mute.listen(path);
  await once(mute, 'listening');
  onTestFinished(() => void mute.close());
  const failure = await unixClient(path)
    .say({ value: '' }, { deadlineMs: 200 })
    .catch((error: unknown) => error as RpcError);
  expect(failure).toMatchObject({ code: statusCode.DEADLINE_EXCEEDED });
});

test('a server that never speaks is given up, and tried again', async () => {
  const path = await socketPath();
  let connections = 0;
  const mute = createServer((socket: Socket) => {
    connections += 1;
    socket.on('error', () => undefined).resume();
  });
  mute.listen(path);
  await once(mute, 'listening');
  onTestFinished(() => void mute.close());
  const channel = connect({ unixPath: path }, { silenceMs: 100 });
  onTestFinished(() => channel.close());
  const client = createClient(EchoService, channel);
  await expect(client.say({ value: '' })).rejects.toMatchObject({
    code: statusCode.UNAVAILABLE,
    message: expect.stringContaining('server said nothing for 100 ms') as string,
  });
  await expect.poll(() => connections).toBeGreaterThan(1);
});

test('a thousand callers that leave at once leave nothing behind', { timeout: 30_000 }, async () => {
  const path = await socketPath();
  const server = echoServer(echo);
  await server.listenUnix(path, { mode });
  for (let round = 0; round < 1000; round += 1) {
    const socket = connectSocket(path);
    await once(socket, 'connect');
    socket.destroy();
  }
  expect(await unixClient(path).say({ value: 'still here' })).toEqual({ value: 'still here' });
  await expect
    .poll(() => process.getActiveResourcesInfo().filter((name) => name === 'PipeWrap').length)
    .toBeLessThan(8);
  expect(readdirSync('/proc/self/fd').filter(isPidfd)).toEqual([]);
});

function isPidfd(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).includes('pidfd');
  } catch {
    return false; // closed since it was listed
  }
}

test('a message that quotes half a surrogate pair arrives, with a replacement character in its place', async () => {
  const path = await socketPath();
  const server = echoServer({
    say: async () => {
      throw new RpcError(statusCode.INVALID_ARGUMENT, 'no such name: \ud83d!');
    },
  });
  await server.listenUnix(path, { mode });
  await expect(unixClient(path).say({ value: '' })).rejects.toMatchObject({
    code: statusCode.INVALID_ARGUMENT,
    message: 'no such name: \ufffd!',
  });
});
