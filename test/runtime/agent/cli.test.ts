// The commands of `spire-agent` as processes, against an agent in this one.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFakeSpireServer } from '../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../support/fake-spire-server.ts';
import { startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';

let server: FakeSpireServer;
let agent: RunningAgent;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cli-'));
  server = await startFakeSpireServer();
  server.setEntries({ path: '/workload', selectors: [`unix:uid:${process.getuid?.() ?? 0}`], hint: 'web' });
  const [bundlePem, joinToken] = [server.bundlePem(), server.createToken()];
  const experimental = 'ratelimit { fetch_x509_bundles = 1 fetch_jwt_svid = 1 }';
  agent = await startAgent({ port: server.port, bundlePem, joinToken, hasAdminSocket: true, experimental });
  await agent.serving();
});
afterAll(async () => {
  await agent.remove();
  await server.close();
  rmSync(directory, { recursive: true });
});

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (...argv: string[]): Promise<Result> => runWith({}, ...argv);

function runWith(env: NodeJS.ProcessEnv, ...argv: string[]): Promise<Result> {
  const main = resolve('runtime/agent/cli/main.ts');
  const child = spawn(process.execPath, [main, ...argv], { env: { ...process.env, ...env } });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  return new Promise((done) => child.once('close', (code) => done({ code, ...output })));
}

const api = (...argv: string[]) => run('api', ...argv, '-socketPath', agent.socketPath, '-timeout', '30s');

describe('api fetch', () => {
  it('prints what a workload gets', async () => {
    const { code, stdout } = await api('fetch');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Received 1 svid after .+s\n\nSPIFFE ID:\t\tspiffe:\/\/example.org\/workload\nHint:\t\t\tweb\nSVID Valid After:\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC\n/,
    );
    expect(stdout).toContain('\nCA #1 Valid Until:\t');
  });

  it('x509 -write makes the files that SPIRE makes, the key for the owner alone', async () => {
    const { code, stdout } = await api('fetch', 'x509', '-silent', '-write', directory);
    expect(code).toBe(0);
    expect(stdout).toBe(
      `Writing SVID #0 to file ${directory}/svid.0.pem.\nWriting key #0 to file ${directory}/svid.0.key.\nWriting bundle #0 to file ${directory}/bundle.0.pem.\n`,
    );
    expect(readFileSync(join(directory, 'svid.0.key'), 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(statSync(join(directory, 'svid.0.key')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(directory, 'bundle.0.pem'), 'utf8')).toBe(server.bundlePem());
  });

  it('x509 -output json prints the message', async () => {
    const { stdout } = await api('fetch', 'x509', '-output', 'json');
    const { svids } = JSON.parse(stdout) as { svids: { spiffe_id: string; hint: string }[] };
    expect(svids.map(({ spiffe_id, hint }) => ({ spiffe_id, hint }))).toEqual([
      { spiffe_id: 'spiffe://example.org/workload', hint: 'web' },
    ]);
  });

  it('jwt prints a token that validate jwt accepts', async () => {
    const { stdout } = await api('fetch', 'jwt', '-audience', 'a,b');
    const token = /^token\(spiffe:\/\/example.org\/workload\):\n\t(\S+)\n/.exec(stdout)?.[1];
    const valid = await api('validate', 'jwt', '-audience', 'b', '-svid', token!);
    expect(valid.stdout).toMatch(
      /^SVID is valid.\nSPIFFE ID : spiffe:\/\/example.org\/workload\nClaims {4}: \{.*\}\n$/,
    );
    const invalid = await api('validate', 'jwt', '-audience', 'c', '-svid', token!);
    expect(invalid.code).toBe(1);
    expect(invalid.stderr).toMatch(/^SVID is not valid: /);
  });

  it('jwt wants an audience', async () => {
    expect(await api('fetch', 'jwt')).toEqual({ code: 1, stdout: '', stderr: 'audience must be specified\n' });
  });
});

describe('the socket', () => {
  const template = 'SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE';
  const healthy = { code: 0, stdout: 'Agent is healthy.\n', stderr: '' };
  const refused = (stderr: string) => ({ code: 1, stdout: '', stderr });

  it.each([
    [{}, ['-instance', 'a'], ` ${template} environment variable must be defined when using the instance flag\n`],
    [{ [template]: '/run/a.sock' }, ['-instance', 'a'], `failed to find %i in ${template}\n`],
    [
      { SPIFFE_ENDPOINT_SOCKET: 'tcp://127.0.0.1:1' },
      [],
      'SPIFFE_ENDPOINT_SOCKET is "tcp://127.0.0.1:1", want unix:///path/to/socket\n',
    ],
  ])('is refused with %j and %j', async (env, flags, reason) => {
    expect(await runWith(env, 'api', 'watch', ...flags)).toEqual(refused(reason));
  });

  it('is that of the instance, of the environment, or of the flag before both', async () => {
    const instances = { [template]: agent.socketPath.replace('api', '%i') };
    expect(await runWith(instances, 'healthcheck', '-instance', 'api')).toEqual(healthy);
    expect(await runWith({ SPIRE_AGENT_PUBLIC_SOCKET: agent.socketPath }, 'healthcheck')).toEqual(healthy);
    expect(await runWith({ SPIFFE_ENDPOINT_SOCKET: `unix://${agent.socketPath}` }, 'healthcheck')).toEqual(healthy);
    const elsewhere = { ...instances, SPIRE_AGENT_PUBLIC_SOCKET: '/none' };
    expect(await runWith(elsewhere, 'healthcheck', '-instance', 'none', '-socketPath', agent.socketPath)).toEqual(
      healthy,
    );
  });
});

it('a workload that calls too often is refused', async () => {
  // On a busy machine three programs may need more than a second each.
  const calls = () => Promise.all([1, 2, 3].map(() => api('fetch', 'jwt', '-audience', 'a')));
  await expect
    .poll(async () => (await calls()).map(({ stderr }) => stderr), { timeout: 40_000 })
    .toContain('rpc error: code = Unavailable desc = rate limit exceeded for /SpiffeWorkloadAPI/FetchJWTSVID\n');
});

describe('logger', () => {
  const logger = (...argv: string[]) => run('logger', ...argv, '-socketPath', agent.adminSocketPath);

  it.each([
    [['set'], 'Error: a value (-level) must be set\n'],
    [['set', '-level', 'loud'], 'Error: the value "loud" is not a valid setting\n'],
  ])('%j is refused', async (argv, stderr) => {
    expect(await logger(...argv)).toEqual({ code: 1, stdout: '', stderr });
  });

  it('get, set and reset print both levels', async () => {
    const said = (current: string) => ({
      code: 0,
      stdout: `Logger Level : ${current}\nLaunch Level : debug\n\n`,
      stderr: '',
    });
    expect(await logger('get')).toEqual(said('debug'));
    expect(await logger('set', '-level', 'WARN')).toEqual(said('warning'));
    expect(await logger('get', '-output', 'json')).toMatchObject({
      stdout: '{"current_level":"WARN","launch_level":"DEBUG"}\n',
    });
    expect(await logger('reset')).toEqual(said('debug'));
  });

  it('says what it was about where there is no agent', async () => {
    const { code, stderr } = await run('logger', 'get', '-socketPath', join(directory, 'none.sock'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: error fetching logger: rpc error: code = Unavailable desc = /);
  });
});

describe('debug getinfo', () => {
  it('prints what the agent says of itself', async () => {
    const { code, stdout } = await run('debug', 'getinfo', '-socketPath', agent.adminSocketPath);
    expect(code).toBe(0);
    const said = stdout
      .replace(/Uptime: +\d\S*/, 'Uptime: <TIME>')
      .replace(/JWT SVIDs: +\d/, 'JWT SVIDs: <COUNT>')
      .replace(/\d{4}-\S+Z/g, '<TIME>')
      .replace(/join_token\/\S+/, 'join_token/<TOKEN>')
      .replace(/SERIALNUMBER=\d+/, 'SERIALNUMBER=<NUMBER>');
    expect(said).toBe(`Agent Debug Info:
  Uptime: <TIME>
  Last Sync Success:               <TIME>
  Cached X.509 SVIDs:              1
  Cached JWT SVIDs: <COUNT>
  Cached SVID Store X.509 SVIDs:   0
  SVID Chain:
    [0] SPIFFE ID:  spiffe://example.org/spire/agent/join_token/<TOKEN>
        Subject:    O=SPIRE,C=US
        Expires At: <TIME>
    [1] SPIFFE ID:  spiffe://example.org
        Subject:    SERIALNUMBER=<NUMBER>,O=SPIFFE,C=US
        Expires At: <TIME>
`);
  });

  it('-output json has the message’s names', async () => {
    const { stdout } = await run('debug', 'getinfo', '-output', 'json', '-socketPath', agent.adminSocketPath);
    const info = JSON.parse(stdout) as Record<string, unknown> & { svid_chain: Record<string, unknown>[] };
    expect(Object.keys(info)).toEqual([
      'cached_jwt_svids_count',
      'cached_svidstore_x509_svids_count',
      'cached_x509_svids_count',
      'last_sync_success',
      'svid_chain',
      'svids_count',
      'uptime',
    ]);
    expect(info['last_sync_success']).toMatch(/^\d+$/);
    expect(info.svid_chain.map((certificate) => Object.keys(certificate))).toEqual([
      ['expires_at', 'id', 'subject'],
      ['expires_at', 'id', 'subject'],
    ]);
  });
});

describe('validate', () => {
  it('says what is wrong with a configuration', async () => {
    const path = join(directory, 'invalid.conf');
    writeFileSync(path, 'agent { trust_domain = "example.org" } plugins {}');
    const { code, stderr } = await run('validate', '-config', path);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^SPIRE agent configuration file is invalid: .*agent\.server_address: must be configured\n/s,
    );
  });
});

describe('healthcheck', () => {
  it('is content with an agent that serves', async () => {
    expect(await run('healthcheck', '-socketPath', agent.socketPath)).toEqual({
      code: 0,
      stdout: 'Agent is healthy.\n',
      stderr: '',
    });
  });

  it('is not without an agent', async () => {
    expect(await run('healthcheck', '-socketPath', join(directory, 'none.sock'))).toEqual({
      code: 1,
      stdout: '',
      stderr: 'Agent is unhealthy: unable to determine health\n',
    });
  });
});

describe('run', () => {
  it('ends with the faults of its configuration', async () => {
    const path = join(directory, 'bad.conf');
    writeFileSync(path, 'agent { trust_domain = "example.org" }');
    const { code, stderr } = await run('run', '-config', path);
    expect(code).toBe(1);
    expect(stderr).toContain('agent.server_address: must be configured');
    expect(stderr).toContain('plugins');
  });

  it('refuses a flag that it does not know, with its usage', async () => {
    const { code, stderr } = await run('run', '-colour', 'red');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^flag provided but not defined: -colour\nUsage of run:\n/);
  });
});

it('an unknown command prints the commands', async () => {
  const { code, stderr } = await run('dance');
  expect(code).toBe(127);
  expect(stderr).toContain('healthcheck');
});
