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
    pruneAgents: { expiredForMs: 259_200_000, includeNonReattestable: true },
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
    [minimal.replace('NodeAttestor "join_token" {', 'Notifier "k8sbundle" {'), ['plugins.Notifier: not supported']],
    [minimal.replace('NodeAttestor "join_token" {', 'NodeAttestr "x" {'), ['plugins.NodeAttestr: unknown plugin type']],
    [
      minimal.replace('KeyManager "memory" {', 'KeyManager "memory" { plugin_cmd = "/bin/x"'),
      [
        'plugins.KeyManager.memory.plugin_cmd: external plugins are not supported',
        'plugins.KeyManager: exactly one must be configured, found 0',
      ],
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

  test('of keys that have no effect here', () => {
    expect(warningsOf('profiling_enabled = true')).toEqual([
      'server.profiling_enabled is configured but has no effect in this server',
    ]);
  });
});
