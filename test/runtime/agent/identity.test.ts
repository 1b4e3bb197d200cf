// How an agent gets, keeps, renews and loses its identity, against a small server.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { startAgent } from '../../support/run-agent.ts';
import type { RunAgentOptions, RunningAgent } from '../../support/run-agent.ts';

let server: FakeSpireServer;
const running: RunningAgent[] = [];

beforeEach(async () => {
  server = await startFakeSpireServer();
});
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.remove();
  await server.close();
});

async function start(options: Partial<RunAgentOptions> = {}): Promise<RunningAgent> {
  const agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), ...options });
  running.push(agent);
  return agent;
}

function logged(agent: RunningAgent, text: string): boolean {
  return agent.lines.some((line) => line.includes(text));
}

describe('first contact', () => {
  it('attests with a join token', async () => {
    const token = server.createToken();
    const agent = await start({ joinToken: token });
    await agent.serving();
    expect(server.state.agents).toEqual([`spiffe://example.org/spire/agent/join_token/${token}`]);
    expect(logged(agent, 'Node attestation was successful')).toBe(true);
  });

  it('never logs the join token', async () => {
    const token = server.createToken();
    const agent = await start({ joinToken: token });
    await agent.serving();
    expect(agent.lines.filter((line) => line.includes(token) && !line.includes(`/join_token/${token}`))).toEqual([]);
  });

  it('refuses a server of another root, before it sends its token', async () => {
    const stranger = createFakeAuthority(server.trustDomain);
    const agent = await start({ bundlePem: certificatesToPem(stranger.roots()), joinToken: server.createToken() });
    await expect.poll(() => logged(agent, 'no authority is called')).toBe(true);
    expect(server.state.calls.get('attestAgent')).toBeUndefined();
  });

  it('takes any server that says it is ours with insecure_bootstrap, and says so', async () => {
    const agent = await start({ joinToken: server.createToken(), settings: 'insecure_bootstrap = true' });
    await agent.serving();
    expect(logged(agent, 'Insecure bootstrap enabled')).toBe(true);
  });

  it('keeps an SVID whose bundle did not come: the token is used up', async () => {
    server.state.bundleFailures = 1;
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    expect(server.state.calls.get('attestAgent')).toBe(1);
    expect(logged(agent, 'Failed to get updated bundle')).toBe(true);
  });

  it('asks again with the same key for an answer that did not come', async () => {
    server.state.lostAnswers = 1;
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    const [first, second] = server.state.attestations;
    expect([first?.again, second?.again]).toEqual([false, true]);
    expect(second?.key).toBe(first?.key);
  });

  it('asks again after its process had ended before the answer', async () => {
    server.state.lostAnswers = Infinity;
    const token = server.createToken();
    const before = await start({ joinToken: token });
    await expect.poll(() => server.state.attestations.length).toBeGreaterThan(0);
    await before.stop();
    server.state.lostAnswers = 0;
    const after = await start({ directory: before.directory, joinToken: token });
    await after.serving();
    expect(new Set(server.state.attestations.map(({ key }) => key)).size).toBe(1);
    expect(logged(after, 'Attesting again with the key of the attestation that was begun')).toBe(true);
  });

  it('without a join token ends the agent', async () => {
    const agent = await start();
    await expect(agent.ended).rejects.toMatchObject({ code: 'ATTESTATION_REFUSED' });
  });

  it('tries again while the server refuses the connection', async () => {
    await server.close();
    const agent = await start({ joinToken: 't' });
    await expect.poll(() => logged(agent, 'Failed to retrieve attestation result')).toBe(true);
  });
});

describe('state on disk', () => {
  it('is readable by the owner alone', async () => {
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    for (const name of ['agent-data.json', 'keys.json']) {
      const { mode } = await stat(join(agent.directory, 'data', name));
      expect((mode & 0o777).toString(8)).toBe('600');
    }
  });

  it("has SPIRE's form", async () => {
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    const read = async (name: string) =>
      JSON.parse(await readFile(join(agent.directory, 'data', name), 'utf8')) as Record<string, unknown>;
    const data = await read('agent-data.json');
    expect(Object.keys(data).sort()).toEqual([
      'bootstrap_start_time',
      'bootstrap_use',
      'bundle',
      'connection_attempts',
      'reattestable',
      'svid',
    ]);
    expect(Buffer.from((data['svid'] as string[])[0]!, 'base64').toString()).toMatch(/^-----BEGIN CERTIFICATE-----\n/);
    expect(Object.keys((await read('keys.json'))['keys'] as object)).toEqual(['agent-svid-A']);
  });

  it('lets an agent go on without attesting again', async () => {
    const before = await start({ joinToken: server.createToken() });
    await before.serving();
    await before.stop();
    const after = await start({ directory: before.directory });
    await after.serving();
    expect(server.state.calls.get('attestAgent')).toBe(1);
    expect(logged(after, 'SVID loaded')).toBe(true);
  });

  it('without its key leads to a new attestation', async () => {
    const before = await start({ joinToken: server.createToken(), keyManager: 'memory' });
    await before.serving();
    await before.stop();
    const after = await start({ directory: before.directory, keyManager: 'memory', joinToken: server.createToken() });
    await after.serving();
    expect(server.state.calls.get('attestAgent')).toBe(2);
  });

  it('that has ended leads to a new attestation', async () => {
    server.state.agentTtl = 2_000;
    const before = await start({ joinToken: server.createToken() });
    await before.serving();
    const endsBy = Date.now() + server.state.agentTtl;
    await before.stop();
    await expect.poll(() => Date.now()).toBeGreaterThan(endsBy);
    server.state.agentTtl = 3_600_000;
    const after = await start({ directory: before.directory, joinToken: server.createToken() });
    await after.serving();
    expect(server.state.calls.get('attestAgent')).toBe(2);
    expect(logged(after, 'SVID recovered, but it has expired')).toBe(true);
  });
});

describe('renewal', () => {
  it('comes at half life, over the connection with the old SVID', async () => {
    server.state.agentTtl = 3_000;
    const token = server.createToken();
    const agent = await start({ joinToken: token });
    await agent.serving();
    await expect.poll(() => server.state.calls.get('renewAgent') ?? 0).toBeGreaterThan(0);
    expect(server.state.calls.get('attestAgent')).toBe(1);
    expect(new Set(server.state.agents)).toEqual(new Set([`spiffe://example.org/spire/agent/join_token/${token}`]));
  });

  it('is a new attestation where the method allows it', async () => {
    server.state.agentTtl = 3_000;
    server.state.reattestable = true;
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    await expect.poll(() => server.state.calls.get('attestAgent') ?? 0).toBeGreaterThan(1);
    expect(server.state.calls.get('renewAgent')).toBeUndefined();
  });
});

describe('a refusal by the server', () => {
  it.each(['AGENT_EXPIRED', 'AGENT_NOT_ATTESTED', 'AGENT_NOT_ACTIVE', 'AGENT_MUST_REATTEST'] as const)(
    '%s stops an agent that cannot attest again, without its SVID',
    async (refusal) => {
      const agent = await start({ joinToken: server.createToken() });
      await agent.serving();
      server.state.refusal = refusal;
      await expect(agent.ended).rejects.toMatchObject({ code: 'REATTESTATION_FAILED' });
      expect(logged(agent, 'Agent failed re-attestation; removing SVID and shutting down')).toBe(true);
      const data = JSON.parse(await readFile(join(agent.directory, 'data/agent-data.json'), 'utf8')) as {
        svid: unknown;
      };
      expect(data.svid).toEqual([]);
    },
  );

  it('AGENT_NOT_ATTESTED makes an agent attest again that can', async () => {
    server.state.reattestable = true;
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    server.state.refusal = 'AGENT_NOT_ATTESTED';
    await expect.poll(() => server.state.calls.get('attestAgent') ?? 0).toBeGreaterThan(1);
    server.state.refusal = undefined;
    await expect.poll(() => logged(agent, 'Successfully reattested node')).toBe(true);
  });

  it('AGENT_BANNED stops the agent for good, without its SVID', async () => {
    server.state.reattestable = true;
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    server.state.refusal = 'AGENT_BANNED';
    await expect(agent.ended).rejects.toMatchObject({ code: 'BANNED', message: 'agent is banned' });
    expect(logged(agent, 'Agent is banned: removing SVID and shutting down')).toBe(true);
  });
});

describe('a server that is away', () => {
  it('leaves workloads what they have, and is found again', async () => {
    server.setEntries({ path: '/w', selectors: [`unix:uid:${process.getuid?.() ?? 0}`] });
    const agent = await start({ joinToken: server.createToken() });
    await agent.serving();
    const metadata = { 'workload.spiffe.io': 'true' };
    const svidCount = async () => {
      for await (const { svids } of agent.api.fetchX509Svid({}, { metadata })) return svids.length;
      return 0;
    };
    expect(await svidCount()).toBe(1); // so that it has one when the server goes
    await server.close();
    await expect.poll(() => logged(agent, 'Synchronize failed')).toBe(true);
    expect(await svidCount()).toBe(1);
    server = await startFakeSpireServer({ port: server.port, authority: server.authority });
    server.setEntries({ path: '/w', selectors: [`unix:uid:${process.getuid?.() ?? 0}`] });
    await expect.poll(() => server.state.calls.get('getBundle') ?? 0).toBeGreaterThan(0);
    server.authority.addRoot();
    for await (const { bundles } of agent.api.fetchX509Bundles({}, { metadata })) {
      if (Buffer.concat(server.authority.roots()).equals(bundles['spiffe://example.org']!)) break;
    }
  });
});
