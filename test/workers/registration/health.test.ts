import { afterEach, expect, it } from 'vitest';
import { openHealth } from '../../../workers/registration/health.ts';
import type { Health } from '../../../workers/registration/health.ts';

let health: Health;
afterEach(() => health.close());

const ask = async (path: string, method = 'GET') => {
  const response = await fetch(health.url + path, { method });
  return [response.status, await response.text()];
};
const round = (waitingFor: string[]) => ({ waitingFor }) as unknown as Parameters<Health['seen']>[0];

it('is alive from the beginning, and ready after a round with every cluster known', async () => {
  health = await openHealth('127.0.0.1:0');
  expect(await ask('/live')).toEqual([200, 'alive\n']);
  expect(await ask('/ready')).toEqual([503, 'no round has ended yet\n']);
  health.seen(round(['demo', 'prod']));
  expect(await ask('/ready')).toEqual([503, 'not all objects are known of demo, prod\n']);
  health.seen(round([]));
  expect(await ask('/ready')).toEqual([200, 'ready\n']);
  health.failed('the server is away');
  expect(await ask('/ready')).toEqual([503, 'the last round failed: the server is away\n']);
  expect(await ask('/live')).toEqual([200, 'alive\n']);
});

it('is ready while another replica acts', async () => {
  health = await openHealth('[::1]:0');
  health.waiting();
  expect(await ask('/ready')).toEqual([200, 'another replica acts\n']);
});

it('answers nothing else', async () => {
  health = await openHealth('127.0.0.1:0');
  expect((await ask('/metrics'))[0]).toBe(404);
  expect((await ask('/live', 'POST'))[0]).toBe(404);
});
