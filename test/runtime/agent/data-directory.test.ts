// What an agent makes of a data directory that is damaged, foreign or open to others: it attests anew, mends, or refuses by name and loses nothing.
import { generateKeyPairSync } from 'node:crypto';
import { chmod, chown, mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeError } from '../../../runtime/log.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { startAgent } from '../../support/run-agent.ts';
import type { RunAgentOptions, RunningAgent } from '../../support/run-agent.ts';

const isRoot = process.getuid?.() === 0;
let server: FakeSpireServer;
/** Of an agent that ran and stopped. */
let directory: string;
let dataPath: string;
let keysPath: string;
const running: RunningAgent[] = [];

async function start(options: Partial<RunAgentOptions> = {}): Promise<RunningAgent> {
  const agent = await startAgent({
    port: server.port,
    bundlePem: server.bundlePem(),
    joinToken: server.createToken(),
    ...options,
  });
  running.push(agent);
  return agent;
}

const restart = (options: Partial<RunAgentOptions> = {}) => start({ directory, ...options });
const logged = (agent: RunningAgent, text: string) => agent.lines.some((line) => line.includes(text));
/** Its new key and SVID are on disk, by one renewal. */
const rotated = async (agent: RunningAgent): Promise<void> => {
  await expect.poll(() => logged(agent, 'Successfully rotated agent SVID')).toBe(true);
  expect(server.state.calls.get('renewAgent')).toBe(1);
};
const attestations = () => server.state.calls.get('attestAgent') ?? 0;

beforeEach(async () => {
  server = await startFakeSpireServer();
  const agent = await start();
  await agent.serving();
  await agent.stop();
  directory = agent.directory;
  dataPath = join(directory, 'data/agent-data.json');
  keysPath = join(directory, 'data/keys.json');
});
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.remove();
  await server.close();
});

async function change(path: string, edit: (text: string) => string): Promise<void> {
  await writeFile(path, edit(await readFile(path, 'utf8')));
}

async function setData(changes: object): Promise<void> {
  await change(dataPath, (text) => JSON.stringify({ ...(JSON.parse(text) as object), ...changes }));
}

/** An SVID for the key that the agent has, of whoever is asked for. */
async function plantSvid(id: string, trustDomain = 'example.org'): Promise<void> {
  const { keys } = JSON.parse(await readFile(keysPath, 'utf8')) as { keys: Record<string, string> };
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const domain = parseTrustDomain(trustDomain);
  const { certChain } = createFakeAuthority(domain).issue({
    publicKey: pair.publicKey,
    spiffeId: createSpiffeId(domain, id),
    ttl: 3_600_000,
  });
  keys['agent-svid-A'] = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  await writeFile(keysPath, JSON.stringify({ keys }));
  await setData({ svid: certChain.map((der) => Buffer.from(certificatesToPem([der])).toString('base64')) });
}

describe('is refused by name, with the way out, and left as it was:', () => {
  const moveAway = 'and start the agent again, which then attests anew';
  it.each<[string, string, string, 'data' | 'keys', () => Promise<void>]>([
    ['truncated agent data', 'AGENT_DATA', moveAway, 'data', () => change(dataPath, (text) => text.slice(0, 100))],
    ['agent data that is other JSON', 'AGENT_DATA', moveAway, 'data', () => writeFile(dataPath, '[]')],
    ['a bundle of garbage', 'AGENT_DATA', moveAway, 'data', () => setData({ bundle: ['Z2FyYmFnZQ=='] })],
    [
      'an SVID whose bytes are no certificate',
      'AGENT_DATA',
      moveAway,
      'data',
      () => setData({ svid: [Buffer.from(certificatesToPem([new Uint8Array(40)])).toString('base64')] }),
    ],
    ['a bootstrap of no known kind', 'AGENT_DATA', moveAway, 'data', () => setData({ bootstrap_use: 7 })],
    ['truncated keys', 'KEYS', moveAway, 'keys', () => change(keysPath, (text) => text.slice(0, -9))],
    ['a key of garbage', 'KEYS', moveAway, 'keys', () => writeFile(keysPath, '{"keys":{"agent-svid-A":"AAAA"}}')],
    [
      'an SVID of another trust domain',
      'FOREIGN_SVID',
      'name another data_dir',
      'data',
      () => plantSvid('/spire/agent/join_token/x', 'other.org'),
    ],
    ['the SVID of a workload', 'FOREIGN_SVID', 'name another data_dir', 'data', () => plantSvid('/w')],
    ['agent data that others may write', 'WRITABLE_BY_OTHERS', 'chmod 600 ', 'data', () => chmod(dataPath, 0o622)],
    [
      'a directory in place of the agent data',
      'DATA_DIRECTORY',
      'or configure another directory',
      'data',
      async () => {
        await rm(dataPath);
        await mkdir(dataPath);
      },
    ],
  ])('%s', async (_, code, wayOut, file, damage) => {
    await damage();
    const path = file === 'data' ? dataPath : keysPath;
    const read = () => readFile(path, 'utf8').catch((error: unknown) => (error as NodeJS.ErrnoException).code);
    const before = await read();
    const agent = await restart();
    const error = await agent.ended.then(
      () => undefined,
      (reason: unknown) => reason as Error & { code: string },
    );
    expect(error?.code).toBe(code);
    expect(error?.message).toContain(path);
    expect(error?.message).toContain(wayOut);
    expect(await read()).toEqual(before);
    expect(attestations()).toBe(1);
  });

  it('a file in place of the directory', async () => {
    await rm(join(directory, 'data'), { recursive: true });
    await writeFile(join(directory, 'data'), 'mine');
    const agent = await restart();
    await expect(agent.ended).rejects.toMatchObject({ code: 'DATA_DIRECTORY' });
    await expect(agent.ended).rejects.toThrow(join(directory, 'data'));
    expect(await readFile(join(directory, 'data'), 'utf8')).toBe('mine');
  });

  it.runIf(isRoot)('files of another user', async () => {
    await chown(dataPath, 65_534, 65_534);
    const agent = await restart();
    await expect(agent.ended).rejects.toMatchObject({ code: 'FOREIGN_OWNER' });
    await expect(agent.ended).rejects.toThrow(`${dataPath} belongs to user 65534, the agent runs as user 0`);
    await expect(agent.ended).rejects.toThrow(`"chown 0 ${dataPath}"`);
  });

  it.skipIf(isRoot)('a directory that may not be read', async () => {
    await chmod(join(directory, 'data'), 0);
    const agent = await restart();
    await expect(agent.ended).rejects.toMatchObject({ code: 'DATA_DIRECTORY' });
    await expect(agent.ended).rejects.toThrow(dataPath);
    await chmod(join(directory, 'data'), 0o700);
  });

  it('a directory that cannot be written, before a join token is spent', async () => {
    await rm(dataPath);
    await mkdir(`${dataPath}.tmp`); // nothing can be written beside it, for root neither
    const agent = await restart();
    await expect(agent.ended).rejects.toMatchObject({ code: 'DATA_DIRECTORY' });
    await expect(agent.ended).rejects.toThrow(`cannot write ${dataPath}`);
    expect(attestations()).toBe(1);
  });
});

describe('is attested anew with, and then good:', () => {
  it.each<[string, string, () => Promise<void>]>([
    ['agent data that is an empty file', 'Agent data is an empty file', () => writeFile(dataPath, '')],
    ['keys that are an empty file', 'Key file is empty', () => writeFile(keysPath, '')],
    ['no keys', 'its key was not found', () => rm(keysPath)],
    [
      'the key of another SVID',
      'its key was not found',
      async () => {
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const key = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
        await writeFile(keysPath, JSON.stringify({ keys: { 'agent-svid-A': key } }));
      },
    ],
    ['keys and no SVID', 'Keys recovered, but no SVID found', () => setData({ svid: null })],
  ])('%s', async (_, said, damage) => {
    await damage();
    const agent = await restart();
    await agent.serving();
    expect(logged(agent, said)).toBe(true);
    expect(attestations()).toBe(2);
    await agent.stop();
    const next = await restart();
    await next.serving();
    expect(attestations()).toBe(2);
  });
});

describe('is gone on with:', () => {
  it('no bundle, by the one that the configuration names', async () => {
    await setData({ bundle: [] });
    const agent = await restart();
    await agent.serving();
    expect(attestations()).toBe(1);
  });

  it('but not where insecure_bootstrap would have any server trusted', async () => {
    await setData({ bundle: null });
    const agent = await restart({ settings: 'insecure_bootstrap = true' });
    await expect(agent.ended).rejects.toMatchObject({ code: 'BUNDLE_MISSING' });
    await expect(agent.ended).rejects.toThrow(`${dataPath} has an SVID and no bundle`);
    expect(attestations()).toBe(1);
  });

  it('a temporary file that a killed process left', async () => {
    await writeFile(`${dataPath}.tmp`, '{"svid":', { mode: 0o644 });
    await symlink('/dev/null', `${keysPath}.tmp`);
    await chmod(keysPath, 0o644); // so that a new key is written
    const agent = await restart();
    await agent.serving();
    await rotated(agent);
    await agent.stop();
    expect((await readdir(join(directory, 'data'))).sort()).toEqual(['agent-data.json', 'keys.json']);
    expect((await stat(keysPath)).isFile()).toBe(true);
  });

  it.each([0o644, 0o640, 0o606])('keys of mode %o, which are made private and replaced', async (mode) => {
    const keysOf = async () =>
      Object.values((JSON.parse(await readFile(keysPath, 'utf8')) as { keys: Record<string, string> }).keys);
    const [exposed] = await keysOf();
    await chmod(keysPath, mode);
    const agent = await restart();
    await agent.serving();
    expect(logged(agent, 'Key file is open to other users')).toBe(true);
    await rotated(agent);
    expect(attestations()).toBe(1);
    await agent.stop();
    expect(((await stat(keysPath)).mode & 0o777).toString(8)).toBe('600');
    const next = await restart();
    await next.serving();
    expect(logged(next, 'Key file is open')).toBe(false);
    expect((await keysOf()).filter((key) => key !== exposed)).toHaveLength(1);
  });
});

it('never puts what a damaged file held into an error', async () => {
  const { keys } = JSON.parse(await readFile(keysPath, 'utf8')) as { keys: Record<string, string> };
  const key = keys['agent-svid-A']!;
  await writeFile(keysPath, key); // JSON.parse would quote its beginning
  const agent = await restart();
  const error: unknown = await agent.ended.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'KEYS', cause: { message: 'not JSON' } });
  expect(describeError(error)).not.toContain(key.slice(0, 6));
});
