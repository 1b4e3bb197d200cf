import { describe, expect, test } from 'vitest';
import { parseHcl } from '../../../../runtime/hcl/parse.ts';
import { ConfigError } from '../../../../runtime/server/config/hcl-schema.ts';
import { parseServerConfig } from '../../../../runtime/server/config/server-config.ts';
import { checkPlugins } from '../../../../runtime/server/plugins.ts';

const plugins = `
plugins {
  DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "postgres://localhost/spire" } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}`;
const minimal = `server { trust_domain = "example.org" data_dir = "/data" }${plugins}`;

const parse = (text: string) => parseServerConfig(parseHcl(text));

function faultsOf(text: string): readonly string[] {
  try {
    checkPlugins(parse(text));
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('a minimal configuration', () => {
  const config = parse(minimal);

  test('has SPIRE’s defaults', () => {
    expect(config).toMatchObject({
      bindAddress: '0.0.0.0',
      bindPort: 8081,
      socketPath: '/tmp/spire-server/private/api.sock',
      dataDir: '/data',
      log: { level: 'info', format: 'text' },
      adminIds: [],
      auditLog: false,
      rateLimit: { attestation: true, signing: true },
      authority: {
        caTtl: 86_400_000,
        caKeyType: 'ec-p256',
        jwtKeyType: 'ec-p256',
        x509SvidTtl: 3_600_000,
        jwtSvidTtl: 300_000,
        ttlLattice: 'warn',
      },
      plugins: { dataStore: { connectionString: 'postgres://localhost/spire' }, keyManager: { name: 'memory' } },
      warnings: [],
    });
    expect(config.trustDomain.name).toBe('example.org');
  });

  test('serves no health listener and prunes no agents', () => {
    expect(config).not.toHaveProperty('health');
    expect(config).not.toHaveProperty('pruneAgents');
  });
});

test('every key of ours and SPIRE’s arrives', () => {
  const config = parse(`
    server {
      bind_address = "127.0.0.1" bind_port = "9081" socket_path = "/run/api.sock"
      trust_domain = "spiffe://example.org" data_dir = "/data" log_level = "WARN" log_format = "JSON" log_file = "/log"
      ca_key_type = "rsa-2048" jwt_key_type = "ec-p384" ca_ttl = "48h" default_x509_svid_ttl = "30m" default_jwt_svid_ttl = "1m"
      agent_ttl = "2h" jwt_issuer = "https://issuer" disable_jwt_svids = true ttl_lattice = "enforce" audit_log_enabled = true
      admin_ids = ["spiffe://example.org/admin"]
      ca_subject { country = ["US"] organization = ["SPIFFE"] common_name = "upstream" }
      ratelimit { attestation = false }
      prune_attested_nodes_expired_for = "72h" prune_tofu_nodes = true
    }
    ${plugins}
    health_checks { listener_enabled = true bind_address = "10.0.0.1" bind_port = "8080" live_path = "/l" ready_path = "/r" }`);
  expect(config).toMatchObject({
    bindAddress: '127.0.0.1',
    bindPort: 9081,
    socketPath: '/run/api.sock',
    log: { level: 'warn', format: 'json', file: '/log' },
    auditLog: true,
    rateLimit: { attestation: false, signing: true },
    authority: {
      caTtl: 172_800_000,
      caKeyType: 'rsa-2048',
      jwtKeyType: 'ec-p384',
      x509SvidTtl: 1_800_000,
      jwtSvidTtl: 60_000,
      agentTtl: 7_200_000,
      jwtIssuer: 'https://issuer',
      disableJwtSvids: true,
      ttlLattice: 'enforce',
      caSubject: { country: 'US', organization: 'SPIFFE', commonName: 'upstream' },
    },
    pruneAgents: { expiredForMs: 259_200_000, includeNonReattestable: true, batchSize: 1_000 },
    health: { host: '10.0.0.1', port: 8080, livePath: '/l', readyPath: '/r' },
  });
  expect(config.adminIds.map(String)).toEqual(['spiffe://example.org/admin']);
});

describe('a configuration is refused', () => {
  test.each([
    [
      '',
      [
        'server section must be configured',
        'plugins section must be configured',
        'plugins.DataStore: exactly one must be configured, found 0',
        'plugins.KeyManager: exactly one must be configured, found 0',
      ],
    ],
    [`server { data_dir = "/data" }${plugins}`, ['trust_domain must be configured']],
    [`server { trust_domain = "example.org" }${plugins}`, ['data_dir must be configured']],
    [
      `server { trust_domain = "Example.org" data_dir = "/d" }${plugins}`,
      [
        'server.trust_domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
      ],
    ],
    [minimal.replace('server {', 'server { bind_adress = "x"'), ['server.bind_adress: unknown key']],
    [`${minimal} sever {}`, ['sever: unknown key']],
    [minimal.replace('server {', 'server { ca_ttl = "1d"'), ['server.ca_ttl: unknown unit "d" in duration "1d"']],
    [minimal.replace('server {', 'server { ca_ttl = "0s"'), ['server.ca_ttl: want a positive duration, got "0s"']],
    [minimal.replace('server {', 'server { bind_port = 70000'), ['server.bind_port: want a port number']],
    [
      minimal.replace('server {', 'server { ca_key_type = "rsa-1024"'),
      ['server.ca_key_type: key type "rsa-1024" is unknown, want one of ec-p256, ec-p384, rsa-2048, rsa-4096'],
    ],
    [minimal.replace('server {', 'server { log_level = "loud"'), ['server.log_level: unknown log level "loud"']],
    [
      minimal.replace('server {', 'server { admin_ids = ["example.org/admin"]'),
      ['server.admin_ids: scheme is missing or invalid'],
    ],
    [
      minimal.replace('server {', 'server { audit_log_enabled = "yes"'),
      ['server.audit_log_enabled: want true or false'],
    ],
    [minimal.replace('server {', 'server { ratelimit { attest = true }'), ['server.ratelimit.attest: unknown key']],
    [
      minimal.replace('"postgres"', '"sqlite3"'),
      ['plugins.DataStore.sql.plugin_data.database_type: only "postgres" is supported'],
    ],
    [
      minimal.replace('KeyManager "memory"', 'KeyManager "aws_kms"'),
      ['plugins.KeyManager.aws_kms: no such key manager'],
    ],
    [
      minimal.replace('KeyManager "memory"', 'KeyManager "disk"'),
      ['plugins.KeyManager.disk.plugin_data.keys_path: want text'],
    ],
    [
      minimal.replace('NodeAttestor "join_token"', 'NodeAttestor "sshpop"'),
      ['plugins.NodeAttestor.sshpop: no such node attestor'],
    ],
    [
      minimal.replace('NodeAttestor "join_token" {', 'BundlePublisher "aws_s3" {'),
      ['plugins.BundlePublisher.aws_s3: no such bundle publisher'],
    ],
    [
      minimal.replace(
        'NodeAttestor "join_token" {',
        'BundlePublisher "k8s_configmap" { plugin_data { clusters = { "a" = { format = "der" namespace = "a" configmap_name = "b" configmap_key = "c" } } }',
      ),
      ['plugins.BundlePublisher.k8s_configmap: clusters.a.format: must be spiffe, jwks or pem'],
    ],
    [minimal.replace('NodeAttestor "join_token" {', 'Notifier "k8sbundle" {'), ['plugins.Notifier: not supported']],
    [minimal.replace('NodeAttestor "join_token" {', 'NodeAttestr "x" {'), ['plugins.NodeAttestr: unknown plugin type']],
    [
      minimal.replace('KeyManager "memory" {', 'KeyManager "memory" { plugin_cmd = "/bin/x"'),
      [
        'plugins.KeyManager.memory.plugin_cmd: external plugins are not supported',
        'plugins.KeyManager: exactly one must be configured, found 0',
      ],
    ],
    [
      minimal.replace('plugin_data {} }\n}', 'plugin_data_file = "/x" }\n}'),
      ['plugins.NodeAttestor.join_token.plugin_data_file: /x is not read here'],
    ],
    [
      minimal.replace('"postgres"', '"mysql"'),
      ['plugins.DataStore.sql.plugin_data.database_type: only "postgres" is supported'],
    ],
    [minimal.replace('"sql" {', '"raft" {'), ['plugins.DataStore.raft: only "sql" is supported']],
    [
      minimal.replace('"postgres" ', '"postgres" max_open_conns = 0 conn_max_lifetime = 5 disable_migration = "no"\n'),
      [
        'plugins.DataStore.sql.plugin_data.max_open_conns: want at least 1',
        expect.stringMatching(/^plugins\.DataStore\.sql\.plugin_data\.conn_max_lifetime: /),
        'plugins.DataStore.sql.plugin_data.disable_migration: want true or false',
      ],
    ],
    ...(
      [
        ['profiling_enabled = true', 'profiling_port: must be configured where profiling_enabled is true'],
        ['profiling_freq = 5', 'profiling_freq: profiles are not dumped to files here: fetch them from profiling_port'],
        [
          'profiling_names = ["heap"]',
          'profiling_names: profiles are not dumped to files here: fetch them from profiling_port',
        ],
        [
          'max_attested_node_info_staleness = "-1s"',
          'max_attested_node_info_staleness: want no negative duration, got "-1s"',
        ],
        ['proxy_protocol_trusted_cidrs = ["10.0.0.0"]', 'proxy_protocol_trusted_cidrs: invalid CIDR address: 10.0.0.0'],
        [
          'proxy_protocol_trusted_cidrs = ["10.0.0.0/33"]',
          'proxy_protocol_trusted_cidrs: invalid CIDR address: 10.0.0.0/33',
        ],
        ['log_source_location = "here"', 'log_source_location: want true or false'],
        ['experimental { auth_opa_policy_engine {} }', 'experimental.auth_opa_policy_engine: not supported'],
        [
          'experimental { agent_spiffe_id_as_selector = true }',
          'experimental.agent_spiffe_id_as_selector: not supported',
        ],
        ['experimental { feature_flags = ["x", "a"] }', 'experimental.feature_flags: unknown feature flag(s): [a x]'],
        ['experimental { feature_flags = ["wit-svid"] }', 'experimental.feature_flags: wit-svid is not supported'],
        [
          'experimental { named_pipe_name = "x" }',
          'experimental.named_pipe_name: not supported in this platform; please use socket_path instead',
        ],
        [
          'experimental { cache_reload_interval = "0s" }',
          'experimental.cache_reload_interval: want a positive duration, got "0s"',
        ],
        [
          'experimental { require_pq_kem = true }',
          'experimental.require_pq_kem: not supported: nothing here may run without it where it is asked for',
        ],
      ] as const
    ).map(([keys, fault]): [string, string[]] => [
      minimal.replace('server {', `server { ${keys}`),
      [`server.${fault}`],
    ]),
    [
      minimal.replace('server {', 'server { experimental { event_timeout = "1s" sql_transaction_timeout = "1s" }'),
      ['both experimental sql_transaction_timeout and event_timeout set, only set event_timeout'],
    ],
    [`${minimal} health_checks { bind_port = "http" }`, ['health_checks.bind_port: want a port number']],
  ])('%#', (text, faults) => {
    expect(faultsOf(text)).toEqual(faults);
  });

  test('with every fault at once', () => {
    const error = (() => {
      try {
        return parse(`server { trust_domain = "example.org" bind_port = "x" ca_ttl = "soon" nonsense = 1 }`);
      } catch (caught) {
        return caught as Error;
      }
    })();
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).faults).toHaveLength(7);
    expect((error as Error).message).toMatch(/^configuration has 7 faults:\n {2}server\./);
  });
});

describe('the operator is told', () => {
  const warningsOf = (keys: string) => parse(minimal.replace('server {', `server { ${keys}`)).warnings;

  test('of TTLs that a rotation would cut short', () => {
    expect(warningsOf('ca_ttl = "4h"')).toEqual([
      'default_x509_svid_ttl is too high for the configured ca_ttl value. SVIDs with shorter lifetimes may be issued. Please set default_x509_svid_ttl to 40m or less, or the ca_ttl to 6h or more, to guarantee the full default_x509_svid_ttl lifetime when CA rotations are scheduled.',
    ]);
    expect(warningsOf('default_x509_svid_ttl = "200h" ca_ttl = "100h"')[0]).toMatch(
      /is too high and the ca_ttl is too low.*to 168h or less, and the ca_ttl to 1008h or more/,
    );
    expect(warningsOf('default_x509_svid_ttl = "200h" ca_ttl = "8760h"')[0]).toMatch(
      /^default_x509_svid_ttl is too high\. .*to 168h or less/,
    );
  });

  test('of keys of experiments that have no effect here, unknown ones too, and of no others', () => {
    const keys = `wit_issuer = "x" made_up = 1 events_based_cache = true event_timeout = "1s" full_cache_reload_interval = "1h"
      cache_reload_interval = "1s" prune_events_older_than = "1h" feature_flags = [] named_pipe_name = "" require_pq_kem = false`;
    expect(warningsOf(`experimental { ${keys} }`)).toEqual([
      'server.experimental.wit_issuer is configured but has no effect in this server',
      'server.experimental.made_up is configured but has no effect in this server',
    ]);
  });
});

test('the keys that tune the server arrive', () => {
  const tuned = parse(`
    server {
      trust_domain = "example.org" data_dir = "/data" log_source_location = true log_level = "trace"
      prune_attested_nodes_expired_for = "1h" prune_attested_nodes_batch_size = 7
      max_attested_node_info_staleness = "30s" proxy_protocol_trusted_cidrs = ["10.0.0.0/8", "fd00::/8"]
      profiling_enabled = true profiling_port = 6060 profiling_freq = 0 profiling_names = []
      experimental { cache_reload_interval = "2s" prune_events_older_than = "1h" }
    }
    plugins {
      DataStore "sql" { plugin_data {
        database_type = "postgres" connection_string = "postgres://a/b" ro_connection_string = "postgres://c/b"
        max_open_conns = 9 max_idle_conns = 3 conn_max_lifetime = "5m" disable_migration = true
      } }
      KeyManager "memory" {}
    }`);
  expect(tuned).toMatchObject({
    log: { level: 'trace', sourceLocation: true },
    pruneAgents: { batchSize: 7 },
    agentStalenessMs: 30_000,
    trustedProxies: ['10.0.0.0/8', 'fd00::/8'],
    profilingPort: 6060,
    changes: { pollMs: 2_000, retentionMs: 3_600_000 },
    warnings: [],
  });
  expect(tuned.plugins.dataStore).toEqual({
    connectionString: 'postgres://a/b',
    readOnlyConnectionString: 'postgres://c/b',
    maxConnections: 9,
    maxIdleConnections: 3,
    connectionLifetimeMs: 300_000,
    disableMigration: true,
  });
});

test('a configuration in JSON is the one that stands beside it in HCL', () => {
  const json = JSON.stringify({
    server: {
      trust_domain: 'example.org',
      data_dir: '/data',
      bind_port: 9081,
      audit_log_enabled: true,
      ca_subject: { country: ['US'], common_name: 'x' },
      experimental: { cache_reload_interval: '1s' },
    },
    plugins: {
      DataStore: { sql: { plugin_data: { database_type: 'postgres', connection_string: 'postgres://a/b' } } },
      KeyManager: [{ memory: { plugin_data: {} } }],
      NodeAttestor: [{ join_token: {} }, { x509pop: { plugin_data: { ca_bundle_path: '/ca.pem' } } }],
      UpstreamAuthority: {
        spire: { plugin_data: { server_address: 'up', server_port: 8081, workload_api_socket: '/run/a.sock' } },
      },
    },
    health_checks: { listener_enabled: true, bind_port: '8080' },
  });
  const hcl = `
    server {
      trust_domain = "example.org"
      data_dir = "/data"
      bind_port = 9081
      audit_log_enabled = true
      ca_subject { country = ["US"] common_name = "x" }
      experimental { cache_reload_interval = "1s" }
    }
    plugins {
      DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "postgres://a/b" } }
      KeyManager "memory" { plugin_data {} }
      NodeAttestor "join_token" {}
      NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "/ca.pem" } }
      UpstreamAuthority "spire" { plugin_data { server_address = "up" server_port = 8081 workload_api_socket = "/run/a.sock" } }
    }
    health_checks { listener_enabled = true bind_port = "8080" }`;
  expect(parse(json)).toEqual(parse(hcl));
});
