import { Metadata } from '@grpc/grpc-js';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createQueue } from '../../../runtime/rpc/queue.ts';
import { invalidArgument, permissionDenied, RpcError, rpcErrorText, statusCode } from '../../../runtime/rpc/status.ts';
import {
  aborted,
  collect,
  echo,
  echoOverUnix,
  echoServer,
  settled,
  socketPath,
  unixClient,
  words,
} from './echo-service.ts';
import type { EchoHandlers } from './echo-service.ts';

async function failureOf(call: Promise<unknown>): Promise<RpcError> {
  const error: unknown = await call.then(
    () => expect.fail('the call succeeded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
}

test('a unary call is answered', async () => {
  const client = await echoOverUnix();
  expect(await client.say({ value: 'hello' })).toEqual({ value: 'hello' });
});

test('a stream of answers arrives in order and ends', async () => {
  const client = await echoOverUnix();
  expect(await collect(client.repeat({ value: 'a' }))).toEqual(['a 1', 'a 2', 'a 3']);
});

test('a stream of requests is read to its end', async () => {
  const client = await echoOverUnix();
  expect(await client.join(words('a', 'b', 'c'))).toEqual({ value: 'a b c' });
});

test('a conversation takes turns', async () => {
  const client = await echoOverUnix();
  const requests = createQueue<{ value: string }>();
  const answers = client.converse(requests)[Symbol.asyncIterator]();
  requests.push({ value: 'one' });
  expect((await answers.next()).value).toEqual({ value: 'heard one' });
  requests.push({ value: 'two' });
  expect((await answers.next()).value).toEqual({ value: 'heard two' });
  requests.end();
  expect((await answers.next()).done).toBe(true);
});

test('a handler that ends a conversation early ends it for the caller, though the caller would go on', async () => {
  const client = await echoOverUnix({
    async *converse(requests) {
      for await (const { value } of requests) {
        yield { value };
        return;
      }
    },
  });
  const requests = createQueue<{ value: string }>();
  requests.push({ value: 'only' });
  expect(await collect(client.converse(requests))).toEqual(['only']);
});

test('an error of a handler arrives with code, message, details and metadata', async () => {
  const metadata = new Metadata();
  metadata.set('retry-after', '3');
  const details = [{ type: 'spire.api.types.Reason', value: new Uint8Array([8, 1]) }];
  const client = await echoOverUnix({
    say: () => Promise.reject(permissionDenied('agent is banned', { details, metadata })),
  });
  const error = await failureOf(client.say({ value: '' }));
  expect(error.code).toBe(statusCode.PERMISSION_DENIED);
  expect(error.message).toBe('agent is banned');
  expect(error.details.map(({ type, value }) => ({ type, value: new Uint8Array(value) }))).toEqual(details);
  expect(error.metadata?.get('retry-after')).toEqual(['3']);
  expect(error.metadata?.get('grpc-status-details-bin')).toEqual([]);
  expect(rpcErrorText(error)).toBe('rpc error: code = PermissionDenied desc = agent is banned');
});

test('answers that came before an error are delivered first', async () => {
  const client = await echoOverUnix({
    async *repeat() {
      yield { value: 'first' };
      throw invalidArgument('then this', { details: [{ type: 'x.Y', value: new Uint8Array([1]) }] });
    },
  });
  const answers = client.repeat({ value: '' })[Symbol.asyncIterator]();
  expect((await answers.next()).value).toEqual({ value: 'first' });
  const error = await failureOf(answers.next());
  expect([error.code, error.message, error.details.length]).toEqual([statusCode.INVALID_ARGUMENT, 'then this', 1]);
});

test('an error that nobody foresaw is logged and told to nobody', async () => {
  const logged: object[] = [];
  const log = { warn: () => undefined, error: (fields: object) => logged.push(fields) };
  const client = await echoOverUnix({ say: () => Promise.reject(new Error('the password is 1234')) }, { log });
  const error = await failureOf(client.say({ value: '' }));
  expect([error.code, error.message]).toEqual([statusCode.INTERNAL, 'internal error']);
  expect(logged).toMatchObject([{ method: '/test.Echo/Say', err: { message: 'the password is 1234' } }]);
});

test('a method without a handler is unimplemented', async () => {
  const client = await echoOverUnix({});
  expect((await failureOf(client.say({ value: '' }))).code).toBe(statusCode.UNIMPLEMENTED);
  expect((await failureOf(collect(client.repeat({ value: '' })))).code).toBe(statusCode.UNIMPLEMENTED);
});

test('an interceptor sees method, metadata and request, and may refuse', async () => {
  const seen: unknown[] = [];
  const intercept = async ({ method, metadata }: { method: string; metadata: Metadata }, request: unknown) => {
    seen.push([method, metadata.get('workload.spiffe.io'), request]);
    throw permissionDenied('not you');
  };
  const client = await echoOverUnix(undefined, { intercept });
  const options = { metadata: { 'workload.spiffe.io': 'true' } };
  expect((await failureOf(client.say({ value: 'x' }, options))).message).toBe('not you');
  expect((await failureOf(collect(client.repeat({ value: 'y' }, options)))).message).toBe('not you');
  expect(seen).toEqual([
    ['/test.Echo/Say', ['true'], { value: 'x' }],
    ['/test.Echo/Repeat', ['true'], { value: 'y' }],
  ]);
});

test('a deadline ends a call on both sides', async () => {
  const stopped = settled<true>();
  const client = await echoOverUnix({
    async say(request, { signal }) {
      await aborted(signal);
      stopped.resolve(true);
      return request;
    },
  });
  const error = await failureOf(client.say({ value: '' }, { deadlineMs: 100 }));
  expect(error.code).toBe(statusCode.DEADLINE_EXCEEDED);
  await stopped.promise;
});

test('a call that its caller cancels is cancelled on both sides', async () => {
  const stopped = settled<true>();
  const began = settled<true>();
  const client = await echoOverUnix({
    async say(request, { signal }) {
      began.resolve(true);
      await aborted(signal);
      stopped.resolve(true);
      return request;
    },
  });
  const controller = new AbortController();
  const call = failureOf(client.say({ value: '' }, { signal: controller.signal }));
  await began.promise;
  controller.abort();
  expect((await call).code).toBe(statusCode.CANCELLED);
  await stopped.promise;
});

test('a call with a signal that is aborted already never begins', async () => {
  const client = await echoOverUnix({ say: () => expect.fail('it began') });
  const options = { signal: AbortSignal.abort() };
  expect((await failureOf(client.say({ value: '' }, options))).code).toBe(statusCode.CANCELLED);
  expect((await failureOf(collect(client.repeat({ value: '' }, options)))).code).toBe(statusCode.CANCELLED);
});

test('a stream that its caller leaves early stops a handler that waits', async () => {
  const stopped = settled<string>();
  const client = await echoOverUnix({
    async *repeat({ value }, { signal }) {
      yield { value };
      await aborted(signal);
      stopped.resolve((signal.reason as Error).message);
    },
  });
  for await (const { value } of client.repeat({ value: 'a' })) {
    expect(value).toBe('a');
    break;
  }
  expect(await stopped.promise).toBe('the caller cancelled the call');
});

test('a stream that is cancelled while nothing comes ends at once', async () => {
  const client = await echoOverUnix({
    async *repeat({ value }, { signal }) {
      yield { value };
      await aborted(signal);
    },
  });
  const controller = new AbortController();
  const answers = client.repeat({ value: 'a' }, { signal: controller.signal })[Symbol.asyncIterator]();
  await answers.next();
  const next = failureOf(answers.next());
  controller.abort();
  expect((await next).code).toBe(statusCode.CANCELLED);
});

test('a source of requests that fails cancels the call', async () => {
  const client = await echoOverUnix();
  async function* failing() {
    yield { value: 'a' };
    throw new Error('no more words');
  }
  expect((await failureOf(client.join(failing()))).code).toBe(statusCode.CANCELLED);
  expect((await failureOf(collect(client.converse(failing())))).code).toBe(statusCode.CANCELLED);
});

test('a request above the limit is refused', async () => {
  const client = await echoOverUnix(undefined, { maxMessageBytes: 1000 });
  expect((await failureOf(client.say({ value: 'x'.repeat(2000) }))).code).toBe(statusCode.RESOURCE_EXHAUSTED);
  expect(await client.say({ value: 'small' })).toEqual({ value: 'small' });
});

test('a caller that does not read holds up its own stream and nothing else', async () => {
  let made = 0;
  const client = await echoOverUnix({
    async *repeat() {
      for (; made < 10_000; made += 1) yield { value: 'x'.repeat(10_000) };
    },
    say: async (request) => request,
  });
  const answers = client.repeat({ value: '' })[Symbol.asyncIterator]();
  await answers.next();
  // Calls on the same connection: what could be sent meanwhile was sent before their answers.
  const talk = async (): Promise<void> => {
    for (let call = 0; call < 50; call += 1) await client.say({ value: 'on' });
  };
  let stalledAt = -1;
  while (stalledAt !== made) {
    stalledAt = made;
    await talk();
  }
  expect(stalledAt).toBeLessThan(1000);
  expect(await client.say({ value: 'still here' })).toEqual({ value: 'still here' });
  await talk();
  expect(made - stalledAt).toBeLessThan(20);
  await answers.return?.(undefined);
});

test('a server that is busy refuses further calls at once, and takes new ones when it is free again', async () => {
  const gate = settled<undefined>();
  const handlers = {
    ...echo,
    async say({ value }: { value: string }) {
      if (value === 'held') await gate.promise;
      return { value };
    },
  };
  const client = await echoOverUnix(handlers, { maxRunningCalls: 2 });
  const held = [client.say({ value: 'held' }), client.say({ value: 'held' })];
  const refusal = await failureOf(client.say({ value: 'third' }));
  expect([refusal.code, refusal.message]).toEqual([statusCode.RESOURCE_EXHAUSTED, 'server is busy with 2 calls']);
  // What lives as long as its caller likes takes no place, and needs none.
  expect(await collect(client.repeat({ value: 'a' }))).toEqual(['a 1', 'a 2', 'a 3']);
  gate.resolve(undefined);
  expect(await Promise.all(held)).toEqual([{ value: 'held' }, { value: 'held' }]);
  for (const value of ['fourth', 'fifth', 'sixth']) expect(await client.say({ value })).toEqual({ value });
});

test('a call that is refused or fails gives its place back', async () => {
  const refuse = () => Promise.reject(invalidArgument('no'));
  const client = await echoOverUnix({ ...echo, say: refuse }, { maxRunningCalls: 1 });
  for (let n = 0; n < 3; n += 1) expect((await failureOf(client.say({ value: 'x' }))).message).toBe('no');
});

test('whoever does not read holds one answer, and no more are made for it', async () => {
  let made = 0;
  const path = await socketPath();
  const handlers: EchoHandlers = {
    ...echo,
    async *repeat() {
      for (;;) yield { value: `${(made += 1)} ${'x'.repeat(2 ** 20)}` };
    },
  };
  await echoServer(handlers).listenUnix(path, { mode: 0o700 });
  const session = http2.connect('http://reader', { createConnection: () => connect(path) });
  onTestFinished(() => session.destroy());
  const headers = {
    ':method': 'POST',
    ':path': '/test.Echo/Repeat',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  session.request(headers).end(Buffer.alloc(5)); // an empty message; nobody reads what comes back
  await expect.poll(() => made).toBe(1);
  // Its server is not idle meanwhile.
  const busy = unixClient(path);
  for (let i = 0; i < 50; i += 1) await busy.say({ value: 'on' });
  expect(made).toBe(1);
});

test('streams beyond the limit are refused, and let in when others have ended', async () => {
  const client = await echoOverUnix(
    {
      async *repeat(_request, { signal }) {
        yield { value: 'open' };
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
    { maxOpenStreams: 2 },
  );
  const open = async () => {
    const stream = client.repeat({ value: '' })[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ value: 'open' });
    return stream;
  };
  const [first] = [await open(), await open()];
  const refused = await failureOf(open());
  expect(refused).toMatchObject({ code: statusCode.RESOURCE_EXHAUSTED, message: 'server has 2 streams open' });
  await first.return?.();
  await expect
    .poll(() =>
      open().then(
        () => 'open',
        () => 'refused',
      ),
    )
    .toBe('open');
});
