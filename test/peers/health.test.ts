// What probes are answered by our server and agent, and by SPIRE's: the same codes and bodies.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { prepareSpireAgent, prepareSpireServer } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
afterAll(() => stage.strike());

interface Pair {
  readonly server: number;
  readonly agent: number;
}
let pairs: { ours: Pair; theirs: Pair };
beforeAll(async () => {
  const start = async (name: string, commands: { server?: string; agent?: string }): Promise<Pair> => {
    const server = await stage.server({ name: `server-${name}`, ...(commands.server && { command: commands.server }) });
    const agent = await stage.agent({
      name: `agent-${name}`,
      server,
      ...(commands.agent && { command: commands.agent }),
    });
    return { server: server.healthPort, agent: agent.healthPort };
  };
  const theirs = { server: await prepareSpireServer(), agent: await prepareSpireAgent() };
  pairs = { ours: await start('ours', {}), theirs: await start('theirs', theirs) };
});

async function probe(port: number, path: string) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
}

it.each(['/live', '/ready'])('%s of a server', async (path) => {
  const theirs = await probe(pairs.theirs.server, path);
  expect(theirs.status).toBe(200);
  expect(await probe(pairs.ours.server, path)).toEqual(theirs);
});

it.each(['/live', '/ready'])('%s of an agent', async (path) => {
  const theirs = await probe(pairs.theirs.agent, path);
  expect(theirs.status).toBe(200);
  expect(await probe(pairs.ours.agent, path)).toEqual(theirs);
});

it('and any other path by 404', async () => {
  for (const port of Object.values(pairs).flatMap(({ server, agent }) => [server, agent]))
    expect((await probe(port, '/')).status).toBe(404);
});
