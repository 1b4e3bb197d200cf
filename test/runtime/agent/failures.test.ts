// What workloads see of an agent's failures, and how long it takes until all is well again: our server and agents of ours in processes of their own,
// this process their workload. The times are printed; they are no pass mark.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { createWorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import { openAgentStage } from '../../endurance/agents/agent-stage.ts';
import type { AgentStage } from '../../endurance/agents/agent-stage.ts';
import { createTriedAgent } from '../../endurance/agents/tried-agent.ts';
import type { TriedAgent } from '../../endurance/agents/tried-agent.ts';
import { openTcpGap } from '../../support/tcp-gap.ts';

interface Node {
  readonly agent: TriedAgent;
  readonly agentPath: string;
  readonly entryId: string;
  /** SPIFFE ID of this process, by the first entry. */
  readonly id: string;
}

/** Long enough for a machine that is busy, short enough to wait for. */
const lifetimeMs = 16_000;
const patience = { timeout: 180_000 };
let stage: AgentStage;
const agents: TriedAgent[] = [];

beforeAll(async () => {
  stage = await openAgentStage(`agent_ttl = "${lifetimeMs}ms" default_x509_svid_ttl = "${lifetimeMs}ms"`);
  await stage.change('first');
});
afterAll(() => stage.close());
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
});

/** An agent of x509pop that serves this process. */
async function startNode(serverPort = stage.port): Promise<Node> {
  const { directory, attestor, agentPath } = stage.createNode();
  const entryId = await stage.createWorkload(agentPath);
  const agent = createTriedAgent({ directory, serverPort, bundlePem: await stage.bundlePem(), settings: '', attestor });
  agents.push(agent);
  await agent.start();
  const id = stage.workloadOf(agentPath);
  await until(agent, 'the first SVID', (ids) => ids.includes(id));
  return { agent, agentPath, entryId, id };
}

/** What this process is now; nothing where it is refused or nobody answers. None of it has ended. */
async function idsNow({ socketPath }: TriedAgent, deadlineMs = 20_000): Promise<string[]> {
  const api = createWorkloadApi({ socketPath });
  try {
    for await (const { svids } of api.fetchX509Svid({ deadlineMs })) {
      for (const { expiresAt } of svids) expect(expiresAt).toBeGreaterThan(Date.now());
      return svids.map(({ id }) => id.toString());
    }
    return [];
  } catch (error) {
    if (error instanceof Error && error.name === 'AssertionError') throw error;
    return [];
  } finally {
    api.close();
  }
}

/** An open stream: when and with what it ended, and when the last SVID that it had was to end. */
async function followUntilItEnds({ socketPath }: TriedAgent) {
  const api = createWorkloadApi({ socketPath });
  let lastExpiry = 0;
  try {
    for await (const { svids } of api.fetchX509Svid()) lastExpiry = svids[0].expiresAt;
    throw new Error('the stream ended without a reason');
  } catch (error) {
    return { endedAt: Date.now(), error, lastExpiry };
  } finally {
    api.close();
  }
}

/** Milliseconds. */
async function until(agent: TriedAgent, what: string, isSo: (ids: readonly string[]) => boolean): Promise<number> {
  const began = performance.now();
  await agent.wait(what, async () => isSo(await idsNow(agent, 2_000)));
  return performance.now() - began;
}

/** What it says from now on. */
function hear({ log }: TriedAgent): () => string {
  const from = log().length;
  return () => log().slice(from);
}

const say = (what: string, ms: number) => console.log(`${what}: ${ms.toFixed(0)} ms`);

/** Whether all works: an entry that is made now reaches the workload. */
async function untilNews({ agent, agentPath }: Node, path: string): Promise<number> {
  await stage.createWorkload(agentPath, path);
  return until(agent, `an SVID for ${path}`, (ids) => ids.includes(`spiffe://example.org${path}`));
}

describe('workloads', patience, () => {
  it('keep what they have while the server is down, and get what is new when it is back', async () => {
    const node = await startNode();
    await stage.server().kill();
    for (let i = 0; i < 5; i += 1) expect(await idsNow(node.agent)).toEqual([node.id]);
    await stage.server().restart();
    say('server back, until news', await untilNews(node, '/after/server-down'));
  });

  it('keep what they have behind a partition, and get what is new after it', async () => {
    const gap = await openTcpGap({ host: '127.0.0.1', port: stage.port });
    try {
      const node = await startNode(gap.port);
      gap.shut();
      await stage.createWorkload(node.agentPath, '/behind/partition');
      for (let i = 0; i < 5; i += 1) expect(await idsNow(node.agent)).toEqual([node.id]);
      gap.open();
      const isThere = (ids: readonly string[]) => ids.includes('spiffe://example.org/behind/partition');
      say('partition over, until news', await until(node.agent, 'what was made meanwhile', isThere));
    } finally {
      await gap.close();
    }
  });

  it('lose what expires while the server is away, and get it again when it is back, as the agent gets its own', async () => {
    const node = await startNode();
    await stage.server().kill();
    const stream = followUntilItEnds(node.agent);
    await until(node.agent, 'the end of the SVID', (ids) => ids.length === 0);
    const { endedAt, error, lastExpiry } = await stream;
    expect(error).toMatchObject({
      code: statusCode.UNAVAILABLE,
      message: 'X509-SVID has ended, and there is no other yet',
    });
    say('SVID ended, until its stream was told', endedAt - lastExpiry);
    expect(node.agent.isRunning()).toBe(true);
    const said = hear(node.agent);
    await stage.server().restart();
    say('server back after all expired', await until(node.agent, 'SVID', (ids) => ids.includes(node.id)));
    expect(said()).toContain('Successfully reattested node');
  });

  it('lose at once what an entry gave that is deleted', async () => {
    const node = await startNode();
    await stage.server().entry.batchDeleteEntry({ ids: [node.entryId] });
    say('entry deleted, until gone', await until(node.agent, 'nothing', (ids) => ids.length === 0));
  });

  it('find their SVIDs again after their agent was killed, which does not attest for it', async () => {
    const node = await startNode();
    await node.agent.stop();
    expect(await idsNow(node.agent)).toEqual([]);
    const began = performance.now();
    await node.agent.start();
    await until(node.agent, 'SVID', (ids) => ids.includes(node.id));
    say('agent killed and started', performance.now() - began);
    expect(node.agent.log()).toContain('SVID loaded');
  });

  it('keep what they have while the database is away, and get what is new when it is back', async () => {
    const node = await startNode();
    await stage.postgres.stop();
    for (let i = 0; i < 5; i += 1) expect(await idsNow(node.agent)).toEqual([node.id]);
    await stage.postgres.start();
    const began = performance.now();
    await expect
      .poll(
        () =>
          stage.createWorkload(node.agentPath, '/after/database').then(
            () => true,
            () => false,
          ),
        { timeout: 60_000 },
      )
      .toBe(true);
    await until(node.agent, 'news', (ids) => ids.includes('spiffe://example.org/after/database'));
    say('database back, until news', performance.now() - began);
  });

  it('notice nothing of an eviction: their agent attests again', async () => {
    const node = await startNode();
    const [trustDomain, path] = ['example.org', node.agentPath];
    await stage.server().agent.deleteAgent({ id: { trustDomain, path } });
    const began = performance.now();
    const isKnown = () =>
      stage
        .server()
        .agent.getAgent({ id: { trustDomain, path }, outputMask: undefined })
        .then(Boolean, () => false);
    await node.agent.wait('another attestation', isKnown);
    say('evicted, until attested again', performance.now() - began);
    say('evicted, until news', await untilNews(node, '/after/eviction'));
  });

  it('are left alone by an agent that is banned, and its start again is refused', async () => {
    const node = await startNode();
    const [trustDomain, path] = ['example.org', node.agentPath];
    await stage.server().agent.banAgent({ id: { trustDomain, path } });
    const began = performance.now();
    await node.agent.ended();
    say('banned, until the agent has ended', performance.now() - began);
    expect(node.agent.log()).toContain('Agent is banned: removing SVID and shutting down');
    expect(await idsNow(node.agent)).toEqual([]);
    node.agent.begin();
    await node.agent.ended();
    expect(node.agent.log()).toContain('Agent crashed');
    expect(node.agent.storedSerial()).toBeUndefined();
  });
});
