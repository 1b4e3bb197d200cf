// What Prometheus is asked of an alert, and what its answer is taken for.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askAlert } from '../../../activities/drills/ask-alert.ts';

let server: ReturnType<typeof createServer>;
let prometheus: string;
let asked: URL | undefined;
let answer: { readonly status: number; readonly body: object };

const series = (...states: readonly string[]) => ({
  status: 200,
  body: {
    status: 'success',
    data: { resultType: 'vector', result: states.map((alertstate) => ({ metric: { alertstate }, value: [0, '1'] })) },
  },
});

beforeEach(async () => {
  server = createServer((request, response) => {
    asked = new URL(request.url ?? '', prometheus);
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  prometheus = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prometheus`;
});
afterEach(() => new Promise((resolve) => server.close(resolve)));

const ask = () => askAlert({ prometheus, alert: 'SpireServerDown', labels: { tier: 'a"b', server: 'x' } });

describe('askAlert', () => {
  it('asks below the address for the alert with its labels, quoted', async () => {
    answer = series();
    expect(await ask()).toEqual({ state: 'inactive' });
    expect(asked?.pathname).toBe('/prometheus/api/v1/query');
    expect(asked?.searchParams.get('query')).toBe('ALERTS{alertname="SpireServerDown",tier="a\\"b",server="x"}');
  });

  it.each([
    [['pending'], 'pending'],
    [['pending', 'firing'], 'firing'],
  ])('takes %j for %s', async (states, state) => {
    answer = series(...states);
    expect(await ask()).toEqual({ state });
  });

  it.each([
    [{ status: 503, body: {} }, 'HTTP 503'],
    [{ status: 200, body: { status: 'error', error: 'parse error' } }, 'success'],
  ])('says that Prometheus does not answer where it says %j', async (said, why) => {
    answer = said;
    await expect(ask()).rejects.toMatchObject({ type: 'Unavailable', message: expect.stringContaining(why) as string });
  });
});
