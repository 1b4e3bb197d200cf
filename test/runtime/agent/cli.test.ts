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
  agent = await startAgent({ port: server.port, bundlePem: server.bundlePem(), joinToken: server.createToken() });
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

function run(...argv: string[]): Promise<Result> {
  const child = spawn(process.execPath, [resolve('runtime/agent/cli/main.ts'), ...argv]);
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
