// What an agent does with what a server of ours tells it, and without a watch. Its poll is so slow that no test lives to see it, unless told.
import { afterEach, describe, expect, it } from 'vitest';
import { refuseAgent } from '../../../runtime/server/api/agent-authorizer.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../../../proto/gen/spire/api/types/status.ts';
import { unavailable } from '../../../runtime/rpc/status.ts';
import { eventually } from '../../support/eventually.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

let server: FakeSpireServer;
let agent: RunningAgent;
afterEach(async () => {
  await agent.remove();
  await server.close();
});

async function start(options: { hasFleet: boolean; syncInterval?: string; settings?: string }) {
  server = await startFakeSpireServer({ hasFleet: options.hasFleet });
  const joinToken = server.createToken();
  agent = await startAgent({
    port: server.port,
    bundlePem: server.bundlePem(),
    joinToken,
    syncInterval: '10m',
    ...options,
  });
  await agent.serving();
}

const calls = (name: string) => server.state.calls.get(name) ?? 0;
const settled = () => new Promise((resolve) => setTimeout(resolve, 400));
const fetches = () => calls('syncAuthorizedEntries') + calls('getBundle');
/** The watch stands, and what the first message asked for is fetched: nothing more is, though the agent polled before where its interval is short. */
const watching = async () => {
  await eventually(() => expect(server.watchCount()).toBe(1));
  await eventually(async () => {
    const before = fetches();
    await settled();
    expect(fetches()).toBe(before);
  });
};

describe('an agent whose server tells of changes', () => {
  it('fetches what changed and nothing else', async () => {
    await start({ hasFleet: true });
    await watching();
    server.tell('r1', { bundles: true });
    await eventually(() => expect(calls('getBundle')).toBe(4));
    server.tell('r2', { entries: true });
    await eventually(() => expect(calls('syncAuthorizedEntries')).toBe(3));
    await settled();
    expect([calls('syncAuthorizedEntries'), calls('getBundle')]).toEqual([3, 4]);
  });

  it('is not made to ask more often than five times a second', async () => {
    await start({ hasFleet: true });
    await watching();
    const began = Date.now();
    for (let round = 0; round < 60; round += 1) {
      server.tell(`r${round}`, { entries: true });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await settled();
    expect(calls('syncAuthorizedEntries') - 2).toBeLessThanOrEqual(Math.ceil((Date.now() - began) / 200) + 1);
    expect(calls('syncAuthorizedEntries')).toBeGreaterThan(2);
  });

  it('does not poll besides, though its interval is short', async () => {
    await start({ hasFleet: true, syncInterval: '50ms' });
    await watching();
    const before = fetches();
    await settled();
    expect(fetches()).toBe(before);
  });

  it('watches again after a break, from where it was', async () => {
    await start({ hasFleet: true });
    await watching();
    server.tell('r1', { entries: true });
    await eventually(() => expect(calls('syncAuthorizedEntries')).toBe(3));
    server.endWatches(unavailable('gone'));
    await eventually(() => expect(server.state.watchedFrom).toEqual(['', 'r1']));
  });

  it('tells the server again what it could not fetch', async () => {
    await start({ hasFleet: true });
    await watching();
    server.state.bundleFailures = 1;
    server.tell('r1', { bundles: true });
    await eventually(() => expect(calls('getBundle')).toBe(4));
    server.endWatches(unavailable('gone'));
    await eventually(() => expect(server.state.watchedFrom).toEqual(['', 'r0']));
  });

  it('fetches with the next poll what it could not fetch when it was told', async () => {
    await start({ hasFleet: true, syncInterval: '500ms' });
    await watching();
    const before = calls('getBundle');
    server.state.bundleFailures = 1;
    server.tell('r1', { bundles: true });
    await eventually(() => expect(calls('getBundle')).toBeGreaterThanOrEqual(before + 2));
  });

  it('asks at once whether it is still welcome when its watch ends with a refusal', async () => {
    await start({ hasFleet: true });
    await watching();
    server.state.refusal = 'AGENT_BANNED';
    server.endWatches(refuseAgent(Reason.AGENT_BANNED, 'agent is banned'));
    await expect(agent.ended).rejects.toMatchObject({ code: 'BANNED' });
  });

  it('opens its watch anew with its new SVID', async () => {
    await start({ hasFleet: true, syncInterval: '50ms' });
    await watching();
    server.authority.addRoot();
    server.authority.taintAllButNewest();
    server.tell('r1', { bundles: true });
    await eventually(() => expect(server.state.agents).toHaveLength(2));
    await eventually(() => expect(server.state.watchedFrom).toEqual(['', 'r1']));
  });
});

describe('an agent whose server is plain SPIRE', () => {
  it('polls, and does not keep asking for a watch', async () => {
    await start({ hasFleet: false, syncInterval: '50ms' });
    const ends = () => agent.lines.filter((line) => line.includes('Watch on the server ended'));
    await eventually(() => expect(ends()).toHaveLength(1));
    const before = calls('syncAuthorizedEntries');
    await eventually(() => expect(calls('syncAuthorizedEntries')).toBeGreaterThan(before + 5));
    expect(ends()).toHaveLength(1);
    expect(agent.lines.join('')).toContain('UNIMPLEMENTED');
  });
});

describe('an agent that lost its watch', () => {
  it('polls until it stands again', async () => {
    await start({ hasFleet: true, syncInterval: '50ms' });
    await watching();
    const before = calls('syncAuthorizedEntries');
    await server.close();
    await eventually(() => expect(agent.lines.join('')).toContain('Synchronize failed'));
    const { authority, port, state } = server;
    server = await startFakeSpireServer({ hasFleet: false, authority, port });
    server.state.entries = state.entries;
    await eventually(() => expect(calls('syncAuthorizedEntries')).toBeGreaterThan(1));
    expect(before).toBeGreaterThan(0);
  });
});
