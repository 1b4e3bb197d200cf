// One data directory, gone on with by our agent and SPIRE's in turn: neither attests anew, and neither loses what the other wrote.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nodeIdOf, ourAgent } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { fetchInGo, ownUid } from './support/workloads.ts';

const id = 'spiffe://example.org/prod/onprem/demo/first';
const stage = createStage();
let theirs: string;
let workload: string;
let server: SpireServer;
let agent: SpireAgent;

beforeAll(async () => {
  [theirs, workload] = [await prepareSpireAgent(), await prepareGoWorkload()];
  server = await stage.server({ name: 'server', settings: 'agent_ttl = "30s"' });
  await server.createEntry({ parentId: nodeIdOf('node'), spiffeId: id, selectors: [ownUid] });
  agent = await stage.agent({ name: 'node', server });
});
afterAll(() => stage.strike());

const countAgents = async (): Promise<number> => {
  const { agents } = JSON.parse(await server.operate('agent', 'list', '-output', 'json')) as { agents: unknown[] };
  return agents.length;
};

it.each([
  ['SPIRE’s agent', () => theirs],
  ['ours', () => ourAgent],
  ['SPIRE’s agent once more', () => theirs],
])('%s goes on, and renews', async (_, command) => {
  const before = agent.log().length;
  await agent.restart(command());
  const said = () => agent.log().slice(before);
  expect(said()).toContain('SVID loaded');
  expect((await fetchInGo(workload, agent, 'reports')).id).toBe(id);
  await eventually('a renewal', () => expect(said()).toContain('Successfully rotated agent SVID'), 90_000);
  expect(await countAgents()).toBe(1);
});
