// The agent's configuration: SPIRE's keys, flags over file, and every fault at once.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadAgentConfig } from '../../../runtime/agent/config/load-config.ts';
import { readAgentConfig } from '../../../runtime/agent/config/read-config.ts';
import { version } from '../../../runtime/agent/version.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';

const plugins = `plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "/d" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}`;
const required = 'trust_domain = "example.org" server_address = "s" server_port = "8081" trust_bundle_path = "/b.pem"';
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function read(agent: string, rest = plugins) {
  return readAgentConfig(parseHcl(`agent { ${agent} }\n${rest}`));
}

function load(text: string, argv: string[], env = {}) {
  const path = join(directory, 'agent.conf');
  writeFileSync(path, text);
  return loadAgentConfig(['-config', path, ...argv], env);
}

describe('a configuration', () => {
  it("has SPIRE's defaults", () => {
    expect(read(required)).toMatchObject({
      trustDomain: { name: 'example.org' },
      server: { host: 's', port: 8081 },
      dataDir: '.',
      socketPath: '/tmp/spire-agent/public/api.sock',
      bundleSource: { kind: 'path', path: '/b.pem', format: 'pem' },
      log: { level: 'info', format: 'text' },
      nodeAttestor: { name: 'join_token' },
      keyStore: { kind: 'disk', directory: '/d' },
      workloadAttestors: [{ name: 'unix', data: { discover_workload_path: true } }],
      syncIntervalMs: 5000,
      useSyncAuthorizedEntries: true,
      x509SvidCacheMaxSize: 1000,
      jwtSvidCacheMaxSize: 1000,
      workloadKeyType: 'ec-p256',
      availabilityTargetMs: 0,
      allowUnauthenticatedVerifiers: false,
      disableWorkloadApi: false,
      sds: {
        defaultSvidName: 'default',
        defaultBundleName: 'ROOTCA',
        defaultAllBundlesName: 'ALL',
        disableSpiffeCertValidation: false,
      },
      rateLimits: new Map(),
      shares: {
        connectionsPerProcess: 512,
        connectionsPerUser: 12_288,
        streamsPerProcess: 4_096,
        streamsPerUser: 24_576,
        callsPerSecondPerProcess: 1_000,
        callsPerSecondPerUser: 4_000,
      },
      logSelectors: [],
      adminSocketPath: undefined,
      authorizedDelegates: new Set(),
      health: undefined,
      ignored: [],
    });
  });

  it('may say what one process and one user may have', () => {
    const config = read(`${required} experimental { max_connections_per_process = 4 max_streams_per_user = 9 }`);
    expect(config.shares).toMatchObject({ connectionsPerProcess: 4, connectionsPerUser: 12_288, streamsPerUser: 9 });
    expect(() => read(`${required} experimental { max_streams_per_process = 0 }`)).toThrow(
      'max_streams_per_process: must be at least 1',
    );
  });

  it('may open a health listener', () => {
    const health = 'health_checks { listener_enabled = true bind_address = "127.0.0.1" bind_port = "9982" }';
    expect(read(required, plugins + health).health).toEqual({
      host: '127.0.0.1',
      port: 9982,
      livePath: '/live',
      readyPath: '/ready',
    });
  });

  it('says which keys have no effect', () => {
    expect(read(required, `${plugins} telemetry { InMem {} }`).ignored).toEqual(['telemetry.InMem']);
  });

  it('waits for the server as long as it says where a JWT-SVID is at hand', () => {
    expect(read(required).jwtSvidCacheHitTimeoutMs).toBe(30_000);
    const timeout = 'experimental { jwt_svid_cache_hit_timeout = "7s" }';
    expect(read(`${required} ${timeout}`).jwtSvidCacheHitTimeoutMs).toBe(7_000);
  });

  it('takes keys that mean nothing without another', () => {
    const profiling = 'profiling_enabled = false profiling_port = 1 profiling_freq = 2 profiling_names = ["heap"]';
    const flags = 'experimental { feature_flags = ["i_am_a_test_flag"] named_pipe_name = "" }';
    expect(read(`${required} ${profiling} ${flags}`).ignored).toEqual([]);
  });

  const withoutBundle = required.replace(/trust_bundle_path.*/, '');
  it.each([
    [
      'trust_bundle_unix_socket = "/run/b.sock" trust_bundle_url = "http://x/bundle?a=b"',
      { kind: 'unixSocket', socketPath: '/run/b.sock', url: 'http://x/bundle?a=b', format: 'pem' },
    ],
    ['trust_bundle_spiffe_workload_api = "unix:///run/api.sock"', { kind: 'workloadApi', socketPath: '/run/api.sock' }],
    [
      'trust_bundle_url = "https://x" trust_bundle_format = "spiffe"',
      { kind: 'url', url: 'https://x', format: 'spiffe' },
    ],
    ['insecure_bootstrap = true', { kind: 'insecure' }],
  ])('finds its first bundle by %s', (setting, source) => {
    expect(read(`${withoutBundle} ${setting}`).bundleSource).toEqual(source);
  });

  it('limits the calls of workloads where it says so', () => {
    const limits = 'experimental { ratelimit { fetch_x509_svid = 5 stream_secrets = 2 fetch_jwt_svid = 0 } }';
    expect([...read(`${required} ${limits}`).rateLimits]).toEqual([
      ['/SpiffeWorkloadAPI/FetchX509SVID', 5],
      ['/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets', 2],
    ]);
  });

  it.each([
    ['disable_sds_api = true', false, undefined],
    ['disable_workload_api = true', true, expect.anything()],
  ])('may serve one of the two: %s', (setting, disableWorkloadApi, sds: unknown) => {
    const socketPath = '/tmp/spire-agent/public/api.sock';
    expect(read(`${required} ${setting}`)).toMatchObject({ socketPath, disableWorkloadApi, sds });
  });

  it('may serve neither', () => {
    const config = read(`${required} disable_sds_api = true disable_workload_api = true`);
    expect(config.socketPath).toBeUndefined();
  });

  it('does without a node attestor when it has a join token', () => {
    const without = plugins.replace(/NodeAttestor.*\n/, '');
    expect(read(`${required} join_token = "t"`, without)).toMatchObject({ joinToken: 't', nodeAttestor: undefined });
    expect(() => read(required, without)).toThrow('plugins.NodeAttestor: must stand once unless there is a join token');
  });
});

describe('refusals', () => {
  it('come all together', () => {
    const faults = () =>
      read(
        'server_port = "x" trust_domain = "Example" colour = "red" insecure_bootstrap = true trust_bundle_path = "/b"',
        'plugins { Notifier "x" {} }',
      );
    for (const fault of [
      'agent.server_address: must be configured',
      'agent.server_port:',
      'agent.trust_domain:',
      'agent.colour: unknown key',
      'only one of them can be specified',
      'plugins.KeyManager: must stand once',
      'plugins.WorkloadAttestor: must stand at least once',
      'plugins.Notifier: unknown key',
    ]) {
      expect(faults).toThrow(fault);
    }
  });

  it.each([
    [required.replace(/trust_bundle_path.*/, ''), 'must be configured unless insecure_bootstrap is set'],
    [`${required} trust_bundle_format = "der"`, 'invalid value for trust_bundle_format'],
    [required.replace('trust_bundle_path = "/b.pem"', 'trust_bundle_url = "http://x"'), 'must start with https://'],
    [`${required} rebootstrap_mode = "sometimes"`, 'rebootstrap_mode: unknown rebootstrap mode specified: "sometimes"'],
    [`${required} rebootstrap_delay = "soon"`, 'agent.rebootstrap_delay: '],
    ...['auto', 'always'].map((mode) => [
      `${required.replace(/trust_bundle_path.*/, '')} insecure_bootstrap = true rebootstrap_mode = "${mode}"`,
      'agent.rebootstrap_mode: insecure_bootstrap option can not be used with rebootstrapping',
    ]),
    [`${required} experimental { require_pq_kem = true }`, 'agent.experimental.require_pq_kem: not supported: true'],
    [
      `${required} experimental { ratelimit { fetch_jwt_svid = -1 } }`,
      'agent.experimental.ratelimit.fetch_jwt_svid: must not be negative',
    ],
    [`${required} experimental { ratelimit { fetch_all = 1 } }`, 'agent.experimental.ratelimit.fetch_all: unknown key'],
    ...['/tmp/spire-agent/public/admin.sock', '/tmp/spire-agent/public/below/admin.sock'].map((path) => [
      `${required} admin_socket_path = "${path}"`,
      'agent.admin_socket_path: admin socket cannot be in the same directory or a subdirectory as that containing the Workload API socket',
    ]),
    [
      `${required} authorized_delegates = ["spiffe://other.org/d"]`,
      '"spiffe://other.org/d" is not a member of trust domain "example.org"',
    ],
    [`${required} authorized_delegates = ["delegate"]`, 'agent.authorized_delegates: '],
    [`${required} profiling_enabled = true`, 'agent.profiling_enabled: not supported: true'],
    [`${required} experimental { broker { socket_path = "/b" } }`, 'agent.experimental.broker: not supported'],
    [
      `${required} experimental { named_pipe_name = "p" }`,
      'agent.experimental.named_pipe_name: is not supported in this platform; please use socket_path instead',
    ],
    [`${required} experimental { feature_flags = ["wit-svid"] }`, 'feature_flags: not supported: "wit-svid"'],
    [`${required} experimental { feature_flags = ["x"] }`, 'feature_flags: unknown feature flag(s): [x]'],
    ...[
      ['4s', 'must be greater than 5s'],
      ['30s', 'must be less than 30s'],
    ].map(([timeout, fault]) => [
      `${required} experimental { jwt_svid_cache_hit_timeout = "${timeout!}" }`,
      `jwt_svid_cache_hit_timeout: ${fault!}`,
    ]),
    ...[
      ['trust_bundle_unix_socket = "/s"', 'if trust_bundle_unix_socket is specified, so must be trust_bundle_url'],
      ['trust_bundle_unix_socket = "/s" trust_bundle_url = "https://x"', 'must start with http://'],
      [
        'trust_bundle_unix_socket = "/s" trust_bundle_url = "http://x?spire-a=1"',
        'query params can not start with spire-',
      ],
      [
        'trust_bundle_unix_socket = "/s" trust_bundle_url = "http://x?spiffe-a=1"',
        'query params can not start with spiffe-',
      ],
      ['trust_bundle_spiffe_workload_api = "tcp://127.0.0.1:1"', 'is not a valid SPIFFE Workload API endpoint address'],
      ['trust_bundle_spiffe_workload_api = "unix:///s" insecure_bootstrap = true', 'only one of them can be specified'],
    ].map(([setting, fault]) => [`${required.replace(/trust_bundle_path.*/, '')} ${setting!}`, fault!]),
    [`${required} sds { name = "x" }`, 'agent.sds.name: unknown key'],
    [`${required} workload_x509_svid_key_type = "ec-p384"`, 'key type must be ec-p256 or rsa-2048'],
    [`${required} availability_target = "1h"`, 'must be at least 24h0m0s'],
    [`${required} x509_svid_cache_max_size = -1`, 'must not be negative'],
    [`${required} log_level = "loud"`, 'agent.log_level'],
  ])('%s', (agent, fault) => {
    expect(() => read(agent)).toThrow(fault);
  });
});

describe('flags', () => {
  const file = `agent { ${required} data_dir = "$DATA" }\n${plugins}`;

  it('win over the file', async () => {
    const config = await load(file, [
      '-serverAddress',
      'other',
      '-serverPort=1',
      '-joinToken',
      't',
      '-logLevel',
      'DEBUG',
      '-allowUnauthenticatedVerifiers',
    ]);
    expect(config).toMatchObject({
      server: { host: 'other', port: 1 },
      joinToken: 't',
      log: { level: 'debug' },
      allowUnauthenticatedVerifiers: true,
      dataDir: '$DATA',
    });
  });

  it('-expandEnv puts the environment into the file', async () => {
    expect(await load(file, ['-expandEnv'], { DATA: '/data' })).toMatchObject({ dataDir: '/data' });
  });

  it('-joinTokenFile reads the token from a file', async () => {
    const path = join(directory, 'token');
    writeFileSync(path, ' secret\n');
    expect(await load(file, ['-joinTokenFile', path])).toMatchObject({ joinToken: 'secret' });
    await expect(load(file, ['-joinTokenFile', path, '-joinToken', 't'])).rejects.toThrow(
      'only one of join_token or join_token_file',
    );
  });

  it('name the file that is missing', async () => {
    await expect(loadAgentConfig(['-config', '/none/agent.conf'], {})).rejects.toThrow(
      'could not find config file /none/agent.conf: please use the -config flag',
    );
  });
});

it('reports the version of the package', async () => {
  expect(version).toBe((JSON.parse(await readFile('package.json', 'utf8')) as { version: string }).version);
});
