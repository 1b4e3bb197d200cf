// `agent purge` against a server that keeps agents and refuses to delete one of them.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentService } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { ListAgentsRequest } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { Agent } from '../../../../proto/gen/spire/api/types/agent.ts';
import { internal, unavailable } from '../../../../runtime/rpc/status.ts';
import { startStubServer } from './stub-server.ts';
import type { StubServer } from './stub-server.ts';

const dayMs = 24 * 3_600_000;
const agent = (name: string, endedDaysAgo: number) =>
  Agent.create({
    id: { trustDomain: 'example.org', path: `/spire/agent/x509pop/${name}` },
    x509svidExpiresAt: Math.floor((Date.now() - endedDaysAgo * dayMs) / 1000),
  });

let server: StubServer;
let agents: Agent[] = [];
let listed: ListAgentsRequest[] = [];
let deleted: string[] = [];
let broken = false;

beforeAll(async () => {
  server = await startStubServer((rpc) => {
    rpc.addService(AgentService, {
      listAgents: async (request) => {
        if (broken) throw unavailable('store is gone');
        listed.push(request);
        return { agents, nextPageToken: '' };
      },
      deleteAgent: async ({ id }) => {
        if (id?.path.endsWith('stuck') === true) throw internal('cannot');
        deleted.push(String(id?.path));
        return {};
      },
    });
  });
});
afterAll(() => server.close());
beforeEach(() => {
  agents = [agent('old', 40), agent('stuck', 31), agent('new', 29), agent('live', -1)];
  listed = [];
  deleted = [];
});

describe('agent purge', () => {
  test('forgets agents whose SVIDs ended 30 days ago, and says which it could not', async () => {
    expect(await server.run('agent', 'purge')).toEqual({
      code: 0,
      out: `Found 2 expired agents

Agents purged:
SPIFFE ID         : spiffe://example.org/spire/agent/x509pop/old
Agents not purged:
SPIFFE ID         : spiffe://example.org/spire/agent/x509pop/stuck
Error             : rpc error: code = Internal desc = cannot
`,
      err: '',
    });
    expect(deleted).toEqual(['/spire/agent/x509pop/old']);
  });

  test('asks only for agents that can attest again', async () => {
    await server.run('agent', 'purge');
    expect(listed.map(({ filter }) => filter?.byCanReattest)).toEqual([true]);
  });

  test('takes another time, and prints JSON', async () => {
    expect((await server.run('agent', 'purge', '-expiredFor', '696h1m', '-output', 'json')).out).toBe(
      '{"expired_agents":[{"agent_id":"spiffe://example.org/spire/agent/x509pop/old","deleted":true},{"agent_id":"spiffe://example.org/spire/agent/x509pop/stuck","deleted":false,"error":"rpc error: code = Internal desc = cannot"}]}\n',
    );
  });

  test('does nothing in a dry run', async () => {
    agents = [agent('old', 40)];
    expect((await server.run('agent', 'purge', '-dryRun')).out).toBe(
      'Found 1 expired agent\n\n\nAgents that can be purged:\nSPIFFE ID         : spiffe://example.org/spire/agent/x509pop/old\n',
    );
    expect(deleted).toEqual([]);
  });

  test('says when there are none', async () => {
    agents = [agent('live', -1)];
    expect((await server.run('agent', 'purge')).out).toBe('No agents to purge.\n');
    expect((await server.run('agent', 'purge', '-output', 'json')).out).toBe('{"expired_agents":[]}\n');
  });

  test('tells the server’s refusal', async () => {
    broken = true;
    expect(await server.run('agent', 'purge')).toEqual({
      code: 1,
      out: '',
      err: 'Error: failed to list agents: rpc error: code = Unavailable desc = store is gone\n',
    });
    broken = false;
  });
});
