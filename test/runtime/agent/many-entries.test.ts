// An agent of many entries: it serves before all are signed. That whoever waits comes first is in svid-cache.test.ts.
import { expect, it } from 'vitest';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import { callMetadata, startAgent } from '../../support/run-agent.ts';

it('serves before it has signed for all, and signs for each entry once', async () => {
  const server = await startFakeSpireServer();
  const others = Array.from({ length: 400 }, (_, i) => ({ path: `/a/${i}`, selectors: [`unix:user:u${i}`] }));
  server.setEntries(...others, { path: '/z', selectors: [`unix:uid:${process.getuid?.() ?? 0}`] });
  const agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken: server.createToken() });
  try {
    await agent.serving();
    for await (const { svids } of agent.api.fetchX509Svid({}, { metadata: callMetadata })) {
      expect(svids.map(({ spiffeId }) => spiffeId)).toEqual(['spiffe://example.org/z']);
      break;
    }
    const signed = () => agent.lines.filter((line) => line.includes('Renewing stale entries')).length;
    await expect.poll(() => server.state.calls.get('batchNewX509SVID'), { timeout: 20_000 }).toBe(5);
    expect(signed()).toBe(5);
  } finally {
    await agent.remove();
    await server.close();
  }
});

it('does not sign in a circle what is due as soon as it is signed', async () => {
  const server = await startFakeSpireServer();
  server.state.svidTtl = 2_000; // it begins 10 s before now, so that half of its life is over at once
  server.setEntries({ path: '/short', selectors: ['unix:user:nobody-here'] });
  const agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken: server.createToken() });
  try {
    await agent.serving();
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 500));
    // Once for each sync interval of 100 ms, and what came before; a circle would be as many as there is time for.
    const most = Math.ceil((performance.now() - began) / 100) + 5;
    expect(server.state.calls.get('batchNewX509SVID')).toBeLessThanOrEqual(most);
  } finally {
    await agent.remove();
    await server.close();
  }
});
