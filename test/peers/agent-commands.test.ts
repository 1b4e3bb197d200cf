// The commands of SPIRE's agent on our agent and on SPIRE's, and ours on both: each pair must show the same.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { nodeIdOf, ourAgent } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { output, run } from './support/processes.ts';
import { prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const id = 'spiffe://example.org/prod/onprem/demo/command';
const stage = createStage();
const agents = new Map<string, SpireAgent>();
const programs = new Map([['ours', ourAgent]]);
let server: SpireServer;

beforeAll(async () => {
  programs.set('SPIRE’s', await prepareSpireAgent());
  server = await stage.server({ name: 'server' });
  for (const [name, command] of programs) {
    const node = name === 'ours' ? 'ours' : 'theirs';
    await server.createEntry({ parentId: nodeIdOf(node), spiffeId: id, selectors: [ownUid] });
    agents.set(name, await stage.agent({ name: node, server, command }));
  }
});
afterAll(() => stage.strike());

const pairs = [
  ['SPIRE’s', 'ours'],
  ['ours', 'SPIRE’s'],
  ['ours', 'ours'],
  ['SPIRE’s', 'SPIRE’s'],
] as const;

describe.each(pairs)('the commands of %s agent on %s', (command, agent) => {
  const call = (...words: readonly string[]) =>
    run(programs.get(command)!, [...words, '-socketPath', agents.get(agent)!.socketPath]);
  const ask = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await call(...words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout;
  };

  const admin = (...words: readonly string[]) =>
    run(programs.get(command)!, [...words, '-socketPath', agents.get(agent)!.adminSocketPath]);

  it('logger: get, set and reset', async () => {
    const levels = (current: string) => ({
      code: 0,
      stdout: `Logger Level : ${current}\nLaunch Level : debug\n\n`,
      stderr: '',
    });
    expect(await admin('logger', 'get')).toEqual(levels('debug'));
    expect(await admin('logger', 'set', '-level', 'WARN')).toEqual(levels('warning'));
    expect(await admin('logger', 'get', '-output', 'json')).toMatchObject({
      stdout: '{"current_level":"WARN","launch_level":"DEBUG"}\n',
    });
    expect(await admin('logger', 'reset')).toEqual(levels('debug'));
  });

  it('debug getinfo: the same lines and the same names', async () => {
    const { code, stdout, stderr } = await admin('debug', 'getinfo');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const said = stdout
      .replace(/Uptime: +\d\S*/, 'Uptime: <TIME>')
      .replace(/SVIDs: +\d+/g, 'SVIDs: <COUNT>')
      .replace(/\d{4}-\S+Z/g, '<TIME>')
      .replace(/join_token\/\S+/, 'join_token/<TOKEN>')
      .replace(/SERIALNUMBER=\d+/, 'SERIALNUMBER=<NUMBER>');
    expect(said).toBe(`Agent Debug Info:
  Uptime: <TIME>
  Last Sync Success:               <TIME>
  Cached X.509 SVIDs: <COUNT>
  Cached JWT SVIDs: <COUNT>
  Cached SVID Store X.509 SVIDs: <COUNT>
  SVID Chain:
    [0] SPIFFE ID:  spiffe://example.org/spire/agent/join_token/<TOKEN>
        Subject:    O=SPIRE,C=US
        Expires At: <TIME>
    [1] SPIFFE ID:  spiffe://example.org
        Subject:    SERIALNUMBER=<NUMBER>,O=SPIFFE,C=US
        Expires At: <TIME>
`);
    const shown = JSON.parse((await admin('debug', 'getinfo', '-output', 'json')).stdout) as Record<string, unknown>;
    expect(Object.entries(shown).map(([name, value]) => [name, typeof value])).toEqual([
      ['cached_jwt_svids_count', 'number'],
      ['cached_svidstore_x509_svids_count', 'number'],
      ['cached_x509_svids_count', 'number'],
      ['last_sync_success', 'string'],
      ['svid_chain', 'object'],
      ['svids_count', 'number'],
      ['uptime', 'number'],
    ]);
  });

  it.each([
    [['logger', 'set'], 'Error: a value (-level) must be set\n'],
    [['logger', 'set', '-level', 'loud'], 'Error: the value "loud" is not a valid setting\n'],
  ])('%j is refused', async (words, stderr) => {
    expect(await admin(...words)).toEqual({ code: 1, stdout: '', stderr });
  });

  it.each([
    [['api', 'fetch', 'jwt'], 'audience must be specified\n'],
    [['api', 'validate', 'jwt', '-svid', 'x'], 'audience must be specified\n'],
    [['api', 'validate', 'jwt', '-audience', 'x'], 'svid must be specified\n'],
    [
      ['api', 'fetch', '-instance', 'a'],
      ' SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE environment variable must be defined when using the instance flag\n',
    ],
  ])('%j is refused', async (words, stderr) => {
    expect(await call(...words)).toEqual({ code: 1, stdout: '', stderr });
  });

  it('healthcheck: healthy', async () => {
    expect(await ask('healthcheck')).toBe('Agent is healthy.\n');
  });

  it('api fetch x509: shows the SVID and the CA', async () => {
    const said = await ask('api', 'fetch', 'x509');
    expect(
      said
        .replace(/after .*/, 'after')
        .replace(/:\t+/g, ': ')
        .replace(/\d{4}-\S+ \S+ \+0000 UTC/g, 'TIME'),
    ).toBe(
      `Received 1 svid after\n\nSPIFFE ID: ${id}\nSVID Valid After: TIME\nSVID Valid Until: TIME\nCA #1 Valid After: TIME\nCA #1 Valid Until: TIME\n\n`,
    );
  });

  it('api fetch x509 -write: writes a chain that openssl accepts', async () => {
    const directory = mkdtempSync(join(stage.directory, 'written-'));
    await ask('api', 'fetch', 'x509', '-write', directory, '-silent');
    const [svid, bundle] = [join(directory, 'svid.0.pem'), join(directory, 'bundle.0.pem')];
    expect(certificatesFromPem(readFileSync(bundle, 'utf8'))).toEqual(certificatesFromPem(await server.bundlePem()));
    expect(await output('openssl', ['verify', '-x509_strict', '-CAfile', bundle, svid])).toBe(`${svid}: OK\n`);
    const key = await output('openssl', ['pkey', '-in', join(directory, 'svid.0.key'), '-pubout']);
    expect(await output('openssl', ['x509', '-in', svid, '-noout', '-pubkey'])).toBe(key);
    rmSync(directory, { recursive: true });
  });

  it('api fetch x509 -output json: the same names', async () => {
    const shown = JSON.parse(await ask('api', 'fetch', 'x509', '-output', 'json')) as {
      svids: { spiffe_id: string }[];
    };
    expect(Object.keys(shown).sort()).toEqual(['crl', 'federated_bundles', 'svids']);
    expect(shown.svids.map((svid) => Object.keys(svid).sort())).toEqual([
      ['bundle', 'hint', 'spiffe_id', 'x509_svid', 'x509_svid_key'],
    ]);
    expect(shown.svids[0]!.spiffe_id).toBe(id);
  });

  it('api fetch jwt, and api validate jwt for its audience and for no other', async () => {
    const said = await ask('api', 'fetch', 'jwt', '-audience', 'reports');
    const [, holder, token] = /^token\(([^)]*)\):\n\t(\S+)\nbundle\(spiffe:\/\/example\.org\):\n\t\{/.exec(said) ?? [];
    expect(holder).toBe(id);
    const validated = await ask('api', 'validate', 'jwt', '-audience', 'reports', '-svid', token!);
    expect(validated).toMatch(
      new RegExp(`^SVID is valid.\\nSPIFFE ID : ${id}\\nClaims    : \\{.*"aud":\\["reports"\\].*\\}\\n$`),
    );
    const refused = await call('api', 'validate', 'jwt', '-audience', 'other', '-svid', token!);
    expect(refused.code).toBe(1);
  });
});
