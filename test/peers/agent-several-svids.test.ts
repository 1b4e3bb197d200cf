// The commands of SPIRE's agent and ours on one agent, which has several SVIDs for them: what they print is the same, byte for byte but for the time
// that it took.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { nodeIdOf, ourAgent } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { output } from './support/processes.ts';
import { prepareSpireAgent } from './support/programs.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const ids = ['a', 'b', 'c'].map((name) => `spiffe://example.org/prod/onprem/demo/${name}`);
const stage = createStage();
const agents = new Map<string, SpireAgent>();
let spireAgent: string;

beforeAll(async () => {
  spireAgent = await prepareSpireAgent();
  const server = await stage.server({ name: 'server' });
  for (const [name, command] of [
    ['ours', ourAgent],
    ['theirs', spireAgent],
  ] as const) {
    for (const spiffeId of ids) await server.createEntry({ parentId: nodeIdOf(name), spiffeId, selectors: [ownUid] });
    const agent = await stage.agent({ name, server, command });
    agents.set(name, agent);
    await eventually(async () => {
      const said = await output(ourAgent, ['api', 'fetch', 'x509', '-socketPath', agent.socketPath]);
      expect(said).toContain('Received 3 svids');
    });
  }
});
afterAll(() => stage.strike());

const timeless = (text: string) => text.replace(/ after \S+/g, ' after <TIME>');

describe.each(['ours', 'theirs'])('on the agent that is %s', (name) => {
  const both = (...words: string[]) => {
    const all = [...words, '-socketPath', agents.get(name)!.socketPath];
    return Promise.all([output(ourAgent, all), output(spireAgent, all)]);
  };

  it('api fetch x509', async () => {
    const [ours, theirs] = await both('api', 'fetch', 'x509');
    expect(timeless(ours)).toBe(timeless(theirs));
    for (const id of ids) expect(theirs).toContain(`SPIFFE ID:\t\t${id}\n`);
  });

  it('api fetch x509 -output json', async () => {
    const [ours, theirs] = await both('api', 'fetch', 'x509', '-output', 'json');
    expect(ours).toBe(theirs);
    const { svids } = JSON.parse(theirs) as { svids: { spiffe_id: string }[] };
    expect(svids.map(({ spiffe_id }) => spiffe_id).sort()).toEqual(ids);
  });

  it('api fetch jwt of one ID, and of all', async () => {
    const shapeOf = (text: string) => text.replace(/\teyJ\S+/g, '\t<TOKEN>');
    for (const chosen of [['-spiffeID', ids[1]!], []]) {
      const [ours, theirs] = await both('api', 'fetch', 'jwt', '-audience', 'reports', ...chosen);
      expect(shapeOf(ours)).toBe(shapeOf(theirs));
      expect(theirs.match(/token\(/g)).toHaveLength(chosen.length === 0 ? 3 : 1);
    }
  });

  it('api watch', async () => {
    const { socketPath } = agents.get(name)!;
    const [ours, theirs] = await Promise.all([firstUpdate(ourAgent, socketPath), firstUpdate(spireAgent, socketPath)]);
    expect(timeless(ours)).toBe(timeless(theirs));
    expect(theirs).toContain('Received 3 svids');
  });
});

/** What the command prints for the first update, until it is interrupted. */
async function firstUpdate(command: string, socketPath: string): Promise<string> {
  const child = spawn(command, ['api', 'watch', '-socketPath', socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    await eventually(() => expect(said).toMatch(/\n\n$/));
    await eventually(() => expect(said.match(/^SPIFFE ID:/gm)).toHaveLength(3));
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
  return said;
}
