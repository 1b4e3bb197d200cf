// What a kubelet is told.
import { expect, it } from 'vitest';
import { openHealth } from '../../../workers/operator/health.ts';

it.each(['', 'here', '127.0.0.1', '127.0.0.1:99999', '[here]:8080', '::1:8080'])(
  'refuses to listen at %o',
  async (listen) => {
    await expect(openHealth(listen, Date.now)).rejects.toThrow('no address to listen at');
  },
);

it('is live at once, and ready for a minute after the API server has answered', async () => {
  let now = 0;
  const health = await openHealth('127.0.0.1:0', () => now);
  const ask = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${health.port}${path}`)).status;
  try {
    expect([await ask('/live'), await ask('/ready'), await ask('/')]).toEqual([200, 503, 404]);
    health.beat();
    now = 59_999;
    expect(await ask('/ready')).toBe(200);
    now = 60_000;
    expect(await ask('/ready')).toBe(503);
  } finally {
    await health.close();
  }
});
