// From a new entry to its workload: the agent asks the server before it refuses a workload, and is not to be made to ask too often.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { callMetadata as metadata, startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

const entry = { path: '/workload', selectors: [`unix:uid:${process.getuid?.() ?? 0}`] };
let server: FakeSpireServer;
let agent: RunningAgent;

beforeEach(async () => {
  server = await startFakeSpireServer();
  const joinToken = server.createToken();
  // An interval that no test lives to see the end of.
  agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken, syncInterval: '10m' });
  await agent.serving();
});
afterEach(async () => {
  await agent.remove();
  await server.close();
});

const syncs = () => server.state.calls.get('syncAuthorizedEntries') ?? 0;

async function fetchIds(): Promise<string[]> {
  for await (const { svids } of agent.api.fetchX509Svid({}, { metadata })) return svids.map(({ spiffeId }) => spiffeId);
  return [];
}

describe('a workload whose entry is new', () => {
  it('gets its X.509-SVID at the first call, without a wait for the next sync', async () => {
    server.setEntries(entry);
    expect(await fetchIds()).toEqual(['spiffe://example.org/workload']);
  });

  it('gets its JWT-SVID at the first call', async () => {
    server.setEntries(entry);
    const { svids } = await agent.api.fetchJwtsvid({ audience: ['a'], spiffeId: '' }, { metadata });
    expect(svids.map(({ spiffeId }) => spiffeId)).toEqual(['spiffe://example.org/workload']);
  });
});

describe('a workload without an entry', () => {
  const refused = { code: statusCode.PERMISSION_DENIED, message: 'no identity issued' };

  it('is refused after the server was asked', async () => {
    const before = syncs();
    await expect(fetchIds()).rejects.toMatchObject(refused);
    expect(syncs()).toBe(before + 1);
  });

  it('does not make the agent ask more often than twice a second, however often it comes', async () => {
    const [before, began] = [syncs(), Date.now()];
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: 20 }, () => expect(fetchIds()).rejects.toMatchObject(refused)));
    }
    expect(syncs() - before).toBeLessThanOrEqual(Math.ceil((Date.now() - began) / 500) + 1);
  });

  it('is refused at once while the server is away', async () => {
    await server.close();
    await expect(fetchIds()).rejects.toMatchObject(refused);
    // Each would wait for a second, and all of them for longer than a test may last.
    for (let call = 0; call < 100; call += 1) await expect(fetchIds()).rejects.toMatchObject(refused);
  });
});
