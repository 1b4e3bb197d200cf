import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HealthService } from '../../../../proto/gen/grpc/health/v1/health.ts';
import { AgentService } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type {
  CreateJoinTokenRequest,
  ListAgentsRequest,
} from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { SVIDService } from '../../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { Agent } from '../../../../proto/gen/spire/api/types/agent.ts';
import { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { parseCsr } from '../../../../runtime/pki/csr.ts';
import { certificatesToPem } from '../../../../runtime/pki/pem.ts';
import { notFound, unavailable } from '../../../../runtime/rpc/status.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { createFakeAuthority } from '../../../support/fake-authority.ts';
import { trustDomain } from '../api/callers.ts';
import { runCaptured, startStubServer } from './stub-server.ts';
import type { StubServer } from './stub-server.ts';

const authority = createFakeAuthority(trustDomain);
const [root] = authority.roots();
const bundle = Bundle.create({
  trustDomain: 'example.org',
  x509Authorities: [{ asn1: root!, tainted: false }],
  refreshHint: 60,
  sequenceNumber: 4,
});
const good = Agent.create({
  id: { trustDomain: 'example.org', path: '/spire/agent/x509pop/a' },
  attestationType: 'x509pop',
  x509svidSerialNumber: '1234',
  x509svidExpiresAt: 1_700_000_000,
  selectors: [
    { type: 'x509pop', value: 'subject:cn:a' },
    { type: 'x509pop', value: 'ca:fingerprint:0' },
  ],
  canReattest: true,
  agentVersion: '1.15.3',
});
const banned = Agent.create({
  ...good,
  id: { trustDomain: 'example.org', path: '/spire/agent/x509pop/b' },
  x509svidSerialNumber: '',
  banned: true,
  canReattest: false,
  agentVersion: '',
});

const goodText = `SPIFFE ID         : spiffe://example.org/spire/agent/x509pop/a
Attestation type  : x509pop
Expiration time   : 2023-11-14 22:13:20 +0000 UTC
Serial number     : 1234
Can re-attest     : true
Agent version     : 1.15.3

`;
const bannedText = `SPIFFE ID         : spiffe://example.org/spire/agent/x509pop/b
Attestation type  : x509pop
Expiration time   : 2023-11-14 22:13:20 +0000 UTC
Banned            : true
Can re-attest     : false

`;

let server: StubServer;
let directory: string;
let tokens: CreateJoinTokenRequest[] = [];
let lists: ListAgentsRequest[] = [];
let health: 'serving' | 'not serving' | 'broken' = 'serving';
let agents = [good, banned];
const goodToken = `a.${Buffer.from('{"exp":3000000000}').toString('base64url')}.c`;
let token = goodToken;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'commands-'));
  server = await startStubServer((rpc) => {
    rpc.addService(AgentService, {
      createJoinToken: async (request) => {
        tokens.push(request);
        return { value: 'the-token', expiresAt: 1_700_000_000 };
      },
      listAgents: async (request) => {
        lists.push(request);
        return { agents, nextPageToken: '' };
      },
      countAgents: async () => ({ count: agents.length }),
      getAgent: async ({ id }) => {
        if (id?.path !== good.id?.path) throw notFound('agent not found');
        return good;
      },
      deleteAgent: async () => ({}),
      banAgent: async () => ({}),
    });
    rpc.addService(BundleService, { getBundle: async () => bundle, countBundles: async () => ({ count: 2 }) });
    rpc.addService(HealthService, {
      check: async () => {
        if (health === 'broken') throw unavailable('store is gone');
        return { status: health === 'serving' ? 1 : 2 };
      },
    });
    rpc.addService(SVIDService, {
      mintX509Svid: async ({ csr }) => {
        const { publicKey } = parseCsr(csr);
        const { certChain, expiresAt } = authority.issue({
          publicKey,
          spiffeId: parseSpiffeId('spiffe://example.org/minted'),
          ttl: 60_000,
        });
        return { svid: { certChain, expiresAt, id: undefined, hint: '' } };
      },
      mintJwtsvid: async () => ({
        svid: { token, id: undefined, expiresAt: 4_000_000_000, issuedAt: 0, hint: '' },
      }),
    });
  });
});
afterAll(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

describe('token generate', () => {
  test('prints the token, and warns where it has no name', async () => {
    tokens = [];
    expect(await server.run('token', 'generate')).toEqual({
      code: 0,
      out: 'Token: the-token\nWarning: Missing SPIFFE ID.\n',
      err: '',
    });
    expect(await server.run('token', 'generate', '-spiffeID', 'spiffe://example.org/node', '-ttl', '60')).toEqual({
      code: 0,
      out: 'Token: the-token\n',
      err: '',
    });
    expect(tokens).toEqual([
      { ttl: 600, token: '', agentId: undefined },
      { ttl: 60, token: '', agentId: { trustDomain: 'example.org', path: '/node' } },
    ]);
  });

  test('prints JSON', async () => {
    expect((await server.run('token', 'generate', '-output', 'json')).out).toBe(
      '{"expires_at":"1700000000","value":"the-token"}\n',
    );
  });

  test.each([
    [['-spiffeID', 'node'], 'Error: scheme is missing or invalid\n'],
    [['-ttl', '2147483648'], 'Error: invalid value for TTL: overflow converting int(2147483648) to int32\n'],
  ])('%j is refused', async (argv, err) => {
    expect(await server.run('token', 'generate', ...argv)).toEqual({ code: 1, out: '', err });
  });
});

describe('agent', () => {
  test('list prints all agents, banned ones marked', async () => {
    expect(await server.run('agent', 'list')).toEqual({
      code: 0,
      out: `Found 2 attested agents:\n\n${goodText}${bannedText}`,
      err: '',
    });
  });

  test('list says when there are none', async () => {
    agents = [];
    expect((await server.run('agent', 'list')).out).toBe('No attested agents found\n');
    agents = [good, banned];
  });

  test('list asks with the filter that the flags describe', async () => {
    lists = [];
    await server.run(
      'agent',
      'list',
      '-attestationType',
      'x509pop',
      '-banned',
      'false',
      '-canReattest',
      'true',
      '-expiresBefore',
      '2023-11-14 22:13:20 +0000 +00',
      '-selector',
      'a:b:c',
      '-matchSelectorsOn',
      'any',
    );
    await server.run('agent', 'list', '-banned', 'perhaps');
    expect(lists.map(({ filter }) => filter)).toEqual([
      {
        byAttestationType: 'x509pop',
        byBanned: false,
        byCanReattest: true,
        byExpiresBefore: '2023-11-14 22:13:20 +0000 +00',
        bySelectorMatch: { selectors: [{ type: 'a', value: 'b:c' }], match: 3 },
      },
      {
        byAttestationType: '',
        byBanned: undefined,
        byCanReattest: undefined,
        byExpiresBefore: '',
        bySelectorMatch: undefined,
      },
    ]);
  });

  test.each([
    [
      ['-expiresBefore', 'tomorrow'],
      'date is not valid: parsing time "tomorrow" as "2006-01-02 15:04:05 -0700 -07": cannot parse "tomorrow" as "2006"',
    ],
    [['-selector', 'x'], 'error parsing selector "x": selector "x" must be formatted as type:value'],
    [['-selector', 'a:b', '-matchSelectorsOn', 'all'], 'unsupported match behavior'],
  ])('list and count refuse %j', async (argv, message) => {
    const refused = { code: 1, out: '', err: `Error: ${message}\n` };
    expect(await server.run('agent', 'list', ...argv)).toEqual(refused);
    expect(await server.run('agent', 'count', ...argv)).toEqual(refused);
  });

  test('count', async () => {
    expect((await server.run('agent', 'count')).out).toBe('2 attested agents\n');
  });

  test('show prints one agent with its selectors', async () => {
    expect(await server.run('agent', 'show', '-spiffeID', 'spiffe://example.org/spire/agent/x509pop/a')).toEqual({
      code: 0,
      out: `Found an attested agent given its SPIFFE ID\n\n${goodText}Selectors         : x509pop:subject:cn:a\nSelectors         : x509pop:ca:fingerprint:0\n`,
      err: '',
    });
  });

  test('evict and ban say that they did', async () => {
    const id = ['-spiffeID', 'spiffe://example.org/spire/agent/x509pop/a'];
    expect(await server.run('agent', 'evict', ...id)).toEqual({
      code: 0,
      out: 'Agent evicted successfully\n',
      err: '',
    });
    expect(await server.run('agent', 'ban', ...id)).toEqual({ code: 0, out: 'Agent banned successfully\n', err: '' });
    expect((await server.run('agent', 'ban', ...id, '-output', 'json')).out).toBe('{}\n');
  });

  test.each(['show', 'evict', 'ban'])('%s needs an ID', async (act) => {
    expect(await server.run('agent', act)).toEqual({ code: 1, out: '', err: 'Error: a SPIFFE ID is required\n' });
  });

  test('show tells the server’s refusal', async () => {
    expect((await server.run('agent', 'show', '-spiffeID', 'spiffe://example.org/spire/agent/x')).err).toBe(
      'Error: rpc error: code = NotFound desc = agent not found\n',
    );
  });
});

describe('bundle', () => {
  test('show prints PEM', async () => {
    expect((await server.run('bundle', 'show')).out).toBe(certificatesToPem([root!]));
  });

  test('show prints the SPIFFE document', async () => {
    const { out } = await server.run('bundle', 'show', '-format', 'SPIFFE');
    expect(out).toMatch(/^\{\n {4}"keys": \[\n {8}\{\n/);
    expect(JSON.parse(out)).toMatchObject({
      keys: [{ use: 'x509-svid', kty: 'EC' }],
      spiffe_sequence: 4,
      spiffe_refresh_hint: 60,
    });
  });

  test('show prints JSON with bytes in base64', async () => {
    const { out } = await server.run('bundle', 'show', '-output', 'json');
    expect(JSON.parse(out)).toEqual({
      jwt_authorities: [],
      refresh_hint: '60',
      sequence_number: '4',
      trust_domain: 'example.org',
      wit_authorities: [],
      x509_authorities: [{ asn1: Buffer.from(root!).toString('base64'), tainted: false }],
    });
  });

  test('show refuses other formats', async () => {
    expect((await server.run('bundle', 'show', '-format', 'DER')).err).toBe('Error: invalid format: "der"\n');
  });

  test('count', async () => {
    expect((await server.run('bundle', 'count')).out).toBe('2 bundles\n');
  });
});

describe('healthcheck', () => {
  test.each([
    ['serving' as const, [], { code: 0, out: 'Server is healthy.\n', err: '' }],
    ['serving' as const, ['-verbose'], { code: 0, out: 'Checking server health...\nServer is healthy.\n', err: '' }],
    [
      'not serving' as const,
      ['-shallow'],
      { code: 1, out: '', err: 'Error: server is unhealthy: server returned status "NOT_SERVING"\n' },
    ],
    ['broken' as const, [], { code: 1, out: '', err: 'Error: server is unhealthy: unable to determine health\n' }],
    [
      'broken' as const,
      ['-verbose'],
      {
        code: 1,
        out: 'Checking server health...\n',
        err: 'Failed to check health: rpc error: code = Unavailable desc = store is gone\nError: server is unhealthy: unable to determine health\n',
      },
    ],
  ])('%s %j', async (state, argv, expected) => {
    health = state;
    expect(await server.run('healthcheck', ...argv)).toEqual(expected);
  });
});

describe('mint', () => {
  test('x509 prints chain, key and roots', async () => {
    const { code, out } = await server.run('x509', 'mint', '-spiffeID', 'spiffe://example.org/minted');
    expect(code).toBe(0);
    expect(out).toMatch(
      /^X509-SVID:\n-----BEGIN CERTIFICATE-----\n[^:]*\nPrivate key:\n-----BEGIN PRIVATE KEY-----\n[^:]*\nRoot CAs:\n-----BEGIN CERTIFICATE-----\n/,
    );
    expect(out.endsWith(`${certificatesToPem([root!])}\n`)).toBe(true);
  });

  test('x509 writes files, the key for its owner only, and says when the TTL was cut', async () => {
    const { out, err } = await server.run(
      'x509',
      'mint',
      '-spiffeID',
      'spiffe://example.org/minted',
      '-ttl',
      '1h',
      '-write',
      directory,
    );
    expect(out).toBe(
      `X509-SVID written to ${directory}/svid.pem\nPrivate key written to ${directory}/key.pem\nRoot CAs written to ${directory}/bundle.pem\n`,
    );
    expect(err).toMatch(
      /^X509-SVID lifetime was capped shorter than specified ttl; expires "\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z"\n$/,
    );
    expect((await stat(join(directory, 'key.pem'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'svid.pem'))).mode & 0o777).toBe(0o644);
  });

  test('x509 prints JSON in the order in which people read it', async () => {
    const { out } = await server.run('x509', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-output', 'json');
    expect(out).toMatch(/^\{"x509_svid":\["[^"]+"\],"private_key":"[^"]+","root_cas":\["[^"]+"\]\}\n$/);
  });

  test('jwt prints the token, or writes it for its owner only', async () => {
    const argv = ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'a'];
    expect(await server.run(...argv)).toEqual({ code: 0, out: `${token}\n`, err: '' });
    const path = join(directory, 'token');
    expect((await server.run(...argv, '-write', path)).out).toBe(`JWT-SVID written to ${path}\n`);
    expect(await readFile(path, 'utf8')).toBe(token);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test('jwt says when the TTL was cut, or when the token does not tell', async () => {
    const argv = ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'a'];
    expect((await server.run(...argv, '-ttl', '590000h')).err).toBe(
      'JWT-SVID lifetime was capped shorter than specified ttl; expires "2065-01-24T05:20:00Z"\n',
    );
    token = 'a.e30.c';
    expect((await server.run(...argv)).err).toBe('Unable to determine JWT-SVID lifetime: no expiry claim\n');
    token = goodToken;
  });

  test('jwt says where it cannot write', async () => {
    const argv = ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'a'];
    expect(await server.run(...argv, '-write', '/nonexistent/token')).toEqual({
      code: 1,
      out: '',
      err: 'Error: unable to write token: open /nonexistent/token: no such file or directory\n',
    });
  });

  test.each([
    [['x509', 'mint'], 'spiffeID must be specified'],
    [['jwt', 'mint'], 'spiffeID must be specified'],
    [['jwt', 'mint', '-spiffeID', 'spiffe://a/b'], 'at least one audience must be specified'],
    [
      ['jwt', 'mint', '-spiffeID', 'spiffe://a/b', '-audience', 'a', '-ttl', '2147483648s'],
      'invalid value for TTL: overflow converting time.Duration(2.147483648s) to int32',
    ],
  ])('%j is refused', async (argv, message) => {
    expect(await server.run(...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
  });
});

describe('validate', () => {
  const config = `server { trust_domain = "example.org" data_dir = "$DIR" }
    plugins { DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "x" } } KeyManager "memory" {} }`;
  const validate = async (text: string, ...argv: string[]) => {
    const path = join(directory, 'server.conf');
    await writeFile(path, text);
    return runCaptured(['validate', '-config', path, ...argv], {}, { DIR: '/data' });
  };

  test('says that a configuration holds', async () => {
    expect(await validate(config, '-expandEnv')).toEqual({
      code: 0,
      out: 'SPIRE server configuration file is valid.\n',
      err: '',
    });
  });

  test('says what is wrong with one that does not', async () => {
    expect(await validate(config.replace('server {', 'server { x = 1'))).toEqual({
      code: 1,
      out: '',
      err: `SPIRE server configuration file is invalid: ${directory}/server.conf: server.x: unknown key\n`,
    });
    expect((await validate(config.replace('server {', 'server { x = 1').replace('memory', 'hsm'))).err).toBe(
      `SPIRE server configuration file is invalid: ${directory}/server.conf: server.x: unknown key\n`,
    );
    expect((await validate(config.replace('"memory"', '"hsm"'))).err).toBe(
      `SPIRE server configuration file is invalid: ${directory}/server.conf: plugins.KeyManager.hsm: no such key manager\n`,
    );
    const { err } = await validate('server {');
    expect(err).toMatch(/^SPIRE server configuration file is invalid: .*server\.conf:1:\d+: /);
  });

  test('names the file that it does not find', async () => {
    expect((await runCaptured(['validate', '-config', '/nonexistent.conf'])).err).toBe(
      'SPIRE server configuration file is invalid: could not find config file /nonexistent.conf: please use the -config flag\n',
    );
  });

  test('takes a plugin’s data from its file, and names the file that it does not find', async () => {
    const path = join(directory, 'keys.conf');
    const withFile = config.replace('KeyManager "memory" {}', `KeyManager "disk" { plugin_data_file = "${path}" }`);
    await writeFile(path, 'keys_path = "/keys.json"');
    expect((await validate(withFile)).code).toBe(0);
    await writeFile(path, 'keys_path = "/keys.json" other = 1');
    expect((await validate(withFile)).err).toMatch(/plugins\.KeyManager\.disk\.plugin_data\.other: unknown key\n$/);
    await writeFile(path, 'keys_path = ');
    expect((await validate(withFile)).err).toContain(`plugins.KeyManager.disk.plugin_data_file: ${path}:1:`);
    await rm(path);
    expect((await validate(withFile)).err).toMatch(/plugins\.KeyManager\.disk\.plugin_data_file: ENOENT: .*keys\.conf/);
    const both = config.replace(
      'KeyManager "memory" {}',
      `KeyManager "disk" { plugin_data {} plugin_data_file = "x" }`,
    );
    expect((await validate(both)).err).toContain('only one of [plugin_data, plugin_data_file] can be used');
  });

  test('lets flags override the file', async () => {
    expect((await validate(config, '-trustDomain', 'Bad')).err).toMatch(
      /server\.trust_domain: trust domain characters are limited/,
    );
    expect((await validate(config, '-serverPort', '70000')).err).toMatch(/server\.bind_port: want a port number/);
  });
});

describe('the program', () => {
  test('refuses to run with a faulty configuration', async () => {
    expect(await runCaptured(['run', '-config', '/nonexistent.conf'])).toEqual({
      code: 1,
      out: '',
      err: 'could not find config file /nonexistent.conf: please use the -config flag\n',
    });
  });

  test('says twice that a flag of run is wrong, as SPIRE does', async () => {
    const { code, out, err } = await runCaptured(['run', '-port', '1']);
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(
      /^flag provided but not defined: -port\nUsage of run:\n[^]*\nflag provided but not defined: -port\n$/,
    );
    expect((await runCaptured(['validate', '-port', '1'])).err).toMatch(
      /\nSPIRE server configuration file is invalid: flag provided but not defined: -port\n$/,
    );
  });
});
