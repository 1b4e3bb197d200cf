// How the agent's copy of its entries follows the server's, page by page, and with a server that can only send all of them.
import { afterEach, describe, expect, it } from 'vitest';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { callMetadata, startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

const mine = `unix:uid:${process.getuid?.() ?? 0}`;
const paths = ['/a', '/b', '/c', '/d', '/e'];
let server: FakeSpireServer;
let agent: RunningAgent;

afterEach(async () => {
  await agent.remove();
  await server.close();
});

async function start(hasSync: boolean): Promise<void> {
  server = await startFakeSpireServer({ hasSync });
  server.setEntries(...paths.map((path) => ({ path, selectors: [mine] })));
  agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken: server.createToken() });
  await agent.serving();
}

async function ids(): Promise<string[]> {
  for await (const { svids } of agent.api.fetchX509Svid({}, { metadata: callMetadata }))
    return svids.map(({ spiffeId }) => spiffeId);
  return [];
}

describe.each([
  ['a server that lists revisions', true, 'getAuthorizedEntries'],
  ['a server that sends all entries', false, 'syncAuthorizedEntries'],
] as const)('with %s', (_name, hasSync, unused) => {
  it('the agent has all entries', async () => {
    await start(hasSync);
    expect(await ids()).toEqual(paths.map((path) => `spiffe://example.org${path}`));
    if (hasSync) expect(server.state.calls.get(unused)).toBeUndefined();
  });

  it('an entry that goes is gone, and one that comes is there', async () => {
    await start(hasSync);
    server.setEntries(...['/b', '/c', '/d', '/f'].map((path) => ({ path, selectors: [mine] })));
    await expect.poll(ids).toEqual(['/b', '/c', '/d', '/f'].map((path) => `spiffe://example.org${path}`));
  });

  it('a malformed entry does not keep the others from their workloads', async () => {
    await start(hasSync);
    server.state.entries[0] = {
      ...server.state.entries[0]!,
      revisionNumber: 1,
      spiffeId: { trustDomain: 'example.org', path: 'no-slash' },
    };
    await expect.poll(() => agent.lines.some((line) => line.includes('malformed entry'))).toBe(true);
    expect(await ids()).toContain('spiffe://example.org/b');
  });
});
