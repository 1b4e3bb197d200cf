import { expect, test } from 'vitest';
import type { CallObserver, EndedCall } from '../../../runtime/rpc/call-context.ts';
import { permissionDenied, statusCode } from '../../../runtime/rpc/status.ts';
import { collect, echoOverUnix, words } from './echo-service.ts';
import type { EchoHandlers } from './echo-service.ts';

async function observed(
  handlers?: Partial<EchoHandlers>,
  more: Partial<CallObserver> = {},
  intercept?: () => Promise<void>,
) {
  const calls: EndedCall[] = [];
  const errors: string[] = [];
  const client = await echoOverUnix(handlers === undefined ? undefined : handlers, {
    observe: [
      (method) =>
        method === '/test.Echo/Say' || method === '/test.Echo/Repeat' || method === '/test.Echo/Converse'
          ? { ended: (call) => calls.push(call), ...more }
          : undefined,
    ],
    log: { warn: () => undefined, error: (_fields, message) => errors.push(message) },
    ...(intercept === undefined ? {} : { intercept }),
  });
  const seen = () => calls.map(({ code, message, request, response }) => ({ code, message, request, response }));
  return { client, seen, calls, errors };
}

/** The caller may hear of the end of a call before its observers do. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a call is told once, with its request, its response and its status', async () => {
  const { client, seen, calls } = await observed();
  await client.say({ value: 'a' });
  await until(() => calls.length > 0);
  expect(seen()).toEqual([{ code: statusCode.OK, message: '', request: { value: 'a' }, response: { value: 'a' } }]);
  expect(calls[0]?.context?.method).toBe('/test.Echo/Say');
  expect(calls[0]!.startedAt).toBeLessThanOrEqual(performance.now());
});

test('a refusal is told with the status that the caller got, and what nobody foresaw as internal', async () => {
  let error: Error = permissionDenied('no');
  const { client, seen, calls } = await observed({ say: () => Promise.reject(error) });
  await client.say({ value: 'a' }).catch(() => undefined);
  error = new Error('secret');
  await client.say({ value: 'b' }).catch(() => undefined);
  await until(() => calls.length === 2);
  expect(seen()).toEqual([
    { code: statusCode.PERMISSION_DENIED, message: 'no', request: { value: 'a' }, response: undefined },
    { code: statusCode.INTERNAL, message: 'internal error', request: { value: 'b' }, response: undefined },
  ]);
});

test('a call that the interceptor refuses is told too', async () => {
  const { client, seen, calls } = await observed(undefined, {}, () => Promise.reject(permissionDenied('not you')));
  await client.say({ value: 'a' }).catch(() => undefined);
  await until(() => calls.length > 0);
  expect(seen()).toMatchObject([{ code: statusCode.PERMISSION_DENIED, message: 'not you' }]);
});

test('of a stream the first request and the last response are told', async () => {
  const { client, seen, calls } = await observed();
  await collect(client.repeat({ value: 'a' }));
  await collect(client.converse(words('x', 'y')));
  await until(() => calls.length === 2);
  expect(seen()).toEqual([
    { code: statusCode.OK, message: '', request: { value: 'a' }, response: { value: 'a 3' } },
    { code: statusCode.OK, message: '', request: { value: 'x' }, response: { value: 'heard y' } },
  ]);
});

test('whoever stops watching a stream of answers has not failed', async () => {
  let stopped = false;
  const { client, seen, calls } = await observed({
    async *repeat(_request, { signal }) {
      yield { value: '1' };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      stopped = true;
    },
  });
  for await (const { value } of client.repeat({ value: 'a' })) {
    expect(value).toBe('1');
    break;
  }
  await until(() => calls.length > 0);
  expect(stopped).toBe(true);
  expect(seen()).toMatchObject([{ code: statusCode.OK, message: '' }]);
});

test('a method for which no observer is made is not watched', async () => {
  const { client, calls } = await observed();
  await client.join(words('a'));
  await client.say({ value: 'b' });
  await until(() => calls.length > 0);
  expect(calls.map(({ context }) => context?.method)).toEqual(['/test.Echo/Say']);
});

test('an observer that fails is logged and changes nothing for the caller', async () => {
  const { client, errors } = await observed(undefined, {
    ended: () => {
      throw new Error('full disk');
    },
  });
  expect(await client.say({ value: 'a' })).toEqual({ value: 'a' });
  await until(() => errors.length > 0);
  expect(errors).toEqual(['call was not recorded']);
});
