// A service with a method of each shape, written like the generated ones; and a server and a client around it.
import { StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import { createRpcServer } from '../../../runtime/rpc/server.ts';
import type { RpcServer, RpcServerOptions } from '../../../runtime/rpc/server.ts';
import type { Client, Handlers } from '../../../runtime/rpc/service.ts';

const codec = {
  requestSerialize: (value: StringValue): Buffer => Buffer.from(StringValue.encode(value).finish()),
  requestDeserialize: (bytes: Buffer): StringValue => StringValue.decode(bytes),
  responseSerialize: (value: StringValue): Buffer => Buffer.from(StringValue.encode(value).finish()),
  responseDeserialize: (bytes: Buffer): StringValue => StringValue.decode(bytes),
};

export const EchoService = {
  say: { path: '/test.Echo/Say', requestStream: false, responseStream: false, ...codec },
  repeat: { path: '/test.Echo/Repeat', requestStream: false, responseStream: true, ...codec },
  join: { path: '/test.Echo/Join', requestStream: true, responseStream: false, ...codec },
  converse: { path: '/test.Echo/Converse', requestStream: true, responseStream: true, ...codec },
} as const;

export type EchoHandlers = Handlers<typeof EchoService>;
export type EchoClient = Client<typeof EchoService>;

/** Handlers that answer what they were told. */
export const echo: EchoHandlers = {
  say: async ({ value }) => ({ value }),
  async *repeat({ value }) {
    for (let n = 1; n <= 3; n += 1) yield { value: `${value} ${n}` };
  },
  async join(requests) {
    const words: string[] = [];
    for await (const { value } of requests) words.push(value);
    return { value: words.join(' ') };
  },
  async *converse(requests) {
    for await (const { value } of requests) yield { value: `heard ${value}` };
  },
};

/** A path for a socket, short enough, gone after the test. */
export async function socketPath(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rpc-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'api.sock');
}

/** Not yet listening; closed after the test. */
export function echoServer(handlers: EchoHandlers = echo, options: RpcServerOptions = {}): RpcServer {
  const server = createRpcServer(options);
  server.addService(EchoService, handlers);
  onTestFinished(() => server.close(0));
  return server;
}

export function unixClient(unixPath: string): EchoClient {
  const channel = connect({ unixPath });
  onTestFinished(() => channel.close());
  return createClient(EchoService, channel);
}

/** A server on a Unix socket and a client connected to it. */
export async function echoOverUnix(handlers: EchoHandlers = echo, options: RpcServerOptions = {}): Promise<EchoClient> {
  const path = await socketPath();
  await echoServer(handlers, options).listenUnix(path, { mode: 0o700 });
  return unixClient(path);
}

export async function* words(...values: string[]): AsyncGenerator<StringValue> {
  for (const value of values) yield { value };
}

export async function collect(answers: AsyncIterable<StringValue>): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of answers) values.push(value);
  return values;
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** A promise and the hand that settles it. */
export function settled<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
