// How an agent begins anew to trust its server, and when it must not: a server comes back with another root.
import { readFile, rename, writeFile } from 'node:fs/promises';
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
  server.state.reattestable = true;
});
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.remove();
  await server.close();
});

async function start(mode: string, options: Partial<RunAgentOptions> = {}, delay = '1s'): Promise<RunningAgent> {
  const agent = await startAgent({
    port: server.port,
    bundlePem: server.bundlePem(),
    joinToken: 't',
    settings: `rebootstrap_mode = "${mode}" rebootstrap_delay = "${delay}"`,
    ...options,
  });
  running.push(agent);
  return agent;
}

/** The same address, other roots: what a server that was set up anew looks like. */
async function replaceServer(authority = createFakeAuthority(server.trustDomain)): Promise<void> {
  const { port } = server;
  await server.close();
  server = await startFakeSpireServer({ port, authority });
  server.state.reattestable = true;
}

const logged = (agent: RunningAgent, text: string) => agent.lines.some((line) => line.includes(text));
const untilLogged = (agent: RunningAgent, text: string) =>
  expect.poll(() => logged(agent, text), { timeout: 20_000, message: text }).toBe(true);

async function dataOf({ directory }: RunningAgent): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(directory, 'data/agent-data.json'), 'utf8')) as Record<string, unknown>;
}

/** As Go writes it. */
const noTime = '0001-01-01T00:00:00Z';
const disagree = "Trust Bundle and Server don't agree";

describe('a server that hangs on none of the agent’s authorities', () => {
  it('is ignored for the delay; then the agent forgets what it trusted, ends, and begins anew', async () => {
    const before = await start('auto');
    await before.serving();
    await replaceServer();
    await untilLogged(before, `${disagree}, ignoring for now`);
    await expect(before.ended).rejects.toMatchObject({
      code: 'REBOOTSTRAP',
      message: 'shutting down for rebootstrapping',
    });
    expect(logged(before, `${disagree}, rebootstrapping`)).toBe(true);
    expect(await dataOf(before)).toMatchObject({ svid: [], bundle: [], reattestable: false, bootstrap_use: 2 });

    const after = await start('auto', { directory: before.directory });
    await after.serving();
    expect(logged(after, 'Server reattestation attempt 1. Started ')).toBe(true);
    expect(await dataOf(after)).toMatchObject({
      reattestable: true,
      bootstrap_use: 2,
      bootstrap_start_time: noTime,
      connection_attempts: 0,
    });
  });

  it('is never trusted where the configuration does not say so', async () => {
    const agent = await start('never', {}, '1ms');
    await agent.serving();
    const { svid, bundle } = await dataOf(agent);
    await replaceServer();
    await untilLogged(agent, 'Synchronize failed');
    await expect
      .poll(() => agent.lines.filter((line) => line.includes('Synchronize failed')).length)
      .toBeGreaterThan(2);
    expect(logged(agent, disagree)).toBe(false);
    expect(await dataOf(agent)).toMatchObject({ svid, bundle });
  });

  it('and then on one again ends the delay', async () => {
    const { authority } = server;
    const agent = await start('auto', {}, '1h');
    await agent.serving();
    await replaceServer();
    await untilLogged(agent, `${disagree}, ignoring for now`);
    expect((await dataOf(agent))['bootstrap_start_time']).not.toBe(noTime);
    await replaceServer(authority);
    await expect.poll(async () => (await dataOf(agent))['bootstrap_start_time'], { timeout: 20_000 }).toBe(noTime);
  });

  it('makes an agent without an SVID take the bundle of the configuration anew, without an end', async () => {
    const before = await start('auto');
    await before.serving();
    await before.stop();
    const path = join(before.directory, 'data/agent-data.json');
    await writeFile(path, JSON.stringify({ ...(await dataOf(before)), svid: [] }), { mode: 0o600 });
    await replaceServer();
    const after = await start('auto', { directory: before.directory });
    await after.serving();
    expect(logged(after, `${disagree}, ignoring for now`)).toBe(true);
    expect(logged(after, `${disagree}, rebootstrapping`)).toBe(true);
  });

  it('at first contact is asked again, by the bundle that stands there then', async () => {
    const stranger = createFakeAuthority(server.trustDomain);
    const agent = await start('never', { bundlePem: certificatesToPem(stranger.roots()) });
    await untilLogged(agent, `${disagree}, bootstrapping again`);
    const path = join(agent.directory, 'bootstrap.pem');
    await writeFile(`${path}.new`, server.bundlePem());
    await rename(`${path}.new`, path); // at once: the agent may read it at any time
    await agent.serving();
    expect(logged(agent, 'Server attestation attempt 2. Started ')).toBe(true);
  });

  it('that has the old root’s name counts as well', async () => {
    const namesake = () => createFakeAuthority(server.trustDomain, { serialNumber: new Uint8Array(16).fill(1) });
    await replaceServer(namesake());
    const agent = await start('auto', {}, '1h');
    await agent.serving();
    await replaceServer(namesake());
    await untilLogged(agent, `${disagree}, ignoring for now`);
    expect(logged(agent, 'is not signed by')).toBe(true);
  });
});

describe('a node that cannot attest again', () => {
  beforeEach(() => void (server.state.reattestable = false));
  const unsupported =
    'you have requested rebootstrap support but the NodeAttestor plugin or the spire server configuration';

  it('is refused where rebootstrapping is wanted always', async () => {
    const agent = await start('always', { joinToken: server.createToken() });
    await expect(agent.ended).rejects.toMatchObject({
      code: 'NOT_REATTESTABLE',
      message: expect.stringContaining(unsupported) as string,
    });
    const again = await start('always', { directory: agent.directory });
    await expect(again.ended).rejects.toMatchObject({ code: 'NOT_REATTESTABLE' });
    expect(logged(again, 'SVID loaded')).toBe(false);
  });

  it('goes on without it where it is wanted when possible, and forgets nothing', async () => {
    const agent = await start('auto', { joinToken: server.createToken() }, '1ms');
    await agent.serving();
    expect(logged(agent, `${unsupported} is not allowing it. Disabling`)).toBe(true);
    const { svid, bundle } = await dataOf(agent);
    await replaceServer();
    await untilLogged(agent, 'Synchronize failed');
    expect(await dataOf(agent)).toMatchObject({ svid, bundle });
  });
});
