// The listener for profiles, over HTTP as its user meets it.
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../../runtime/log.ts';
import { listenForProfiling } from '../../../runtime/server/profiling.ts';
import type { ProfilingListener } from '../../../runtime/server/profiling.ts';

let listener: ProfilingListener;
beforeAll(async () => {
  listener = await listenForProfiling({
    port: 0,
    log: createLog({ level: 'error', format: 'text', write: () => undefined }),
  });
});
afterAll(() => listener.close());

function get(path: string, { host = 'localhost', method = 'GET' } = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: listener.port, path, method, headers: { host } }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    })
      .on('error', reject)
      .end();
  });
}

describe('a profile', () => {
  test('of CPU is one that V8 made', async () => {
    const { status, body } = await get('/debug/pprof/profile?seconds=0.05');
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      nodes: expect.any(Array) as unknown,
      startTime: expect.any(Number) as unknown,
    });
  });

  test('of memory holds functions and sizes', async () => {
    const { body } = await get('/debug/pprof/heap?seconds=0.05', { host: `127.0.0.1:${listener.port}` });
    expect(JSON.parse(body)).toMatchObject({ head: { callFrame: { functionName: '(root)' } } });
  });

  test('is taken one at a time', async () => {
    const first = get('/debug/pprof/profile?seconds=0.5');
    await expect.poll(async () => (await get('/debug/pprof/heap?seconds=0.01')).status).toBe(503);
    expect((await first).status).toBe(200);
  });
});

describe('refused is', () => {
  test.each([
    ['another path', '/debug/pprof/', {}, 404],
    ['another method', '/debug/pprof/heap', { method: 'POST' }, 404],
    ['no time at all', '/debug/pprof/heap?seconds=0', {}, 400],
    ['too long a time', '/debug/pprof/profile?seconds=301', {}, 400],
    ['a time that is none', '/debug/pprof/profile?seconds=soon', {}, 400],
    ['another name for this machine', '/debug/pprof/heap?seconds=0.01', { host: 'rebound.example.com' }, 403],
    ['a name that begins like ours', '/debug/pprof/heap?seconds=0.01', { host: 'localhost.example.com' }, 403],
  ])('%s', async (_what, path, options, status) => {
    expect((await get(path, options)).status).toBe(status);
  });
});
