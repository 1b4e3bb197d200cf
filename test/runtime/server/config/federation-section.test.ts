// `server { federation { … } }`: what SPIRE's configuration says there, and every refusal with its place.
import { describe, expect, test } from 'vitest';
import { parseHcl } from '../../../../runtime/hcl/parse.ts';
import { ConfigError } from '../../../../runtime/server/config/hcl-schema.ts';
import { parseServerConfig } from '../../../../runtime/server/config/server-config.ts';

const parse = (federation: string) =>
  parseServerConfig(
    parseHcl(`server { trust_domain = "example.org" data_dir = "/data" federation { ${federation} } }
    plugins {
      DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "postgres://localhost/spire" } }
      KeyManager "memory" { plugin_data {} }
    }`),
  );

function faultsOf(federation: string): readonly string[] {
  try {
    parse(federation);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

const files = 'serving_cert_file { cert_file_path = "/c" key_file_path = "/k" }';
const endpoint = (body: string) => `bundle_endpoint { port = 8443 ${body} }`;
const other = (body: string, name = 'other.org') => `federates_with "${name}" { ${body} }`;
const web = 'bundle_endpoint_url = "https://other.org/bundle" bundle_endpoint_profile "https_web" {}';
const spiffe = (id: string) =>
  `bundle_endpoint_url = "https://other.org/bundle" bundle_endpoint_profile "https_spiffe" { endpoint_spiffe_id = "${id}" }`;

describe('the section', () => {
  test('of a bundle endpoint has SPIRE’s defaults', () => {
    expect(parse(endpoint('')).federation.bundleEndpoint).toEqual({
      host: '0.0.0.0',
      port: 8443,
      refreshHintSeconds: 300,
      profile: { kind: 'https_spiffe' },
    });
  });

  test('of a bundle endpoint with files looks at them every ten seconds', () => {
    expect(parse(endpoint(`profile "https_web" { ${files} }`)).federation.bundleEndpoint?.profile).toEqual({
      kind: 'https_web',
      files: { certificatePath: '/c', keyPath: '/k', syncIntervalMs: 10_000 },
    });
  });

  test('names those whom the server federates with, by name or by ID', () => {
    const { federatesWith } = parse(
      other(web) + other(spiffe('spiffe://third.org/endpoint'), 'spiffe://third.org'),
    ).federation;
    expect(federatesWith.map(({ trustDomain, profile }) => [trustDomain.name, profile.kind])).toEqual([
      ['other.org', 'https_web'],
      ['third.org', 'https_spiffe'],
    ]);
  });
});

const at = 'server.federation';
const acme = 'ACME is not supported yet, want serving_cert_file';

test.each([
  ['bundle_endpoint {}', [`${at}.bundle_endpoint.port: `]],
  [endpoint('').replace('8443', '70000'), [`${at}.bundle_endpoint.port: want a port number`]],
  [endpoint('adress = "0.0.0.0"'), [`${at}.bundle_endpoint.adress: unknown key`]],
  [endpoint('refresh_hint = "5"'), [`${at}.bundle_endpoint.refresh_hint: `]],
  [endpoint('acme { tos_accepted = true }'), [`${at}.bundle_endpoint.acme: ${acme}`]],
  [
    endpoint('profile "https_web" { acme { tos_accepted = true } }'),
    [`.acme: ${acme}`, "'serving_cert_file' is required"],
  ],
  [endpoint('profile "https_web" {}'), ["'acme' or 'serving_cert_file' is required"]],
  [
    endpoint(`profile "https_web" { ${files} } profile "https_spiffe" {}`),
    ['exactly one bundle endpoint profile is expected'],
  ],
  [endpoint('profile "http" {}'), [`${at}.bundle_endpoint.profile.http: unknown key`, 'exactly one']],
  [
    endpoint('profile "https_web" { serving_cert_file { cert_file_path = "/c" } }'),
    ['serving_cert_file.key_file_path: '],
  ],
  [endpoint('profile "https_spiffe" { endpoint_spiffe_id = "x" }'), ['https_spiffe.endpoint_spiffe_id: unknown key']],
  [other(''), [`${at}.federates_with.other.org.bundle_endpoint_url: `, 'bundle_endpoint_profile']],
  [other(web.replace('https://', 'http://')), ['bundle_endpoint_url: bundle endpoint URL must use the https scheme']],
  [other(web.replace('other.org/', 'user@other.org/')), ['bundle_endpoint_url: ']],
  [other(web.replace('https_web', 'https')), ['bundle_endpoint_profile.https: unknown key', 'exactly one']],
  [other(`${web} bundle_endpoint_profile "https_spiffe" { endpoint_spiffe_id = "spiffe://o/e" }`), ['exactly one']],
  [other(spiffe('other.org/endpoint')), ['endpoint_spiffe_id: ']],
  [other(spiffe('')), ['endpoint_spiffe_id: ']],
  [other(web, 'Other.org'), ['trust domain characters are limited']],
  [other(web) + other(web, 'spiffe://other.org'), [`${at}.federates_with.spiffe://other.org: stands twice`]],
  [
    other(web, 'example.org'),
    [`${at}.federates_with.example.org: a server does not federate with its own trust domain`],
  ],
  ['bundel_endpoint {}', [`${at}.bundel_endpoint: unknown key`]],
])('%s is refused, with its place', (federation, wanted) => {
  const faults = faultsOf(federation);
  expect(faults).toHaveLength(wanted.length);
  expect(faults).toEqual(wanted.map((words) => expect.stringContaining(words) as string));
});
