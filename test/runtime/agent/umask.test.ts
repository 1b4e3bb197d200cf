// An agent that is started with a umask that hides nothing: what it makes is its own, and workloads of every user reach its socket all the same.
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startAgentProcess } from '../../support/agent-process.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';

it('a umask of 0 becomes 0027 before anything private is made', async () => {
  const server = await startFakeSpireServer();
  onTestFinished(() => server.close());
  const before = process.umask(0);
  onTestFinished(() => void process.umask(before));
  const agent = await startAgentProcess({
    serverPort: server.port,
    bundlePem: server.bundlePem(),
    joinToken: server.createToken(),
  });
  onTestFinished(() => agent.close());
  const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
  const directory = dirname(dirname(agent.socketPath));
  expect(await readFile(agent.logPath, 'utf8')).toContain('Current umask 0000 is too permissive; setting umask 0027');
  expect({
    data: await modeOf(join(directory, 'data')),
    agentData: await modeOf(join(directory, 'data/agent-data.json')),
    keys: await modeOf(join(directory, 'data/keys.json')),
    publicDirectory: await modeOf(dirname(agent.socketPath)),
    socket: await modeOf(agent.socketPath),
    adminDirectory: await modeOf(dirname(agent.adminSocketPath)),
    adminSocket: await modeOf(agent.adminSocketPath),
  }).toEqual({
    data: '750',
    agentData: '600',
    keys: '600',
    publicDirectory: '755',
    socket: '777',
    adminDirectory: '750',
    adminSocket: '770',
  });
});
