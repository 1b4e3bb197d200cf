// A server of ours that is read by Prometheus: the names that SPIRE's dashboard asks for, and those that alerts use beside them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCsr } from '../../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { quotedIn, sectionOf } from '../../../support/markdown.ts';
import { metricsPort, scrape } from '../../../support/metrics.ts';
import type { Scrape } from '../../../support/metrics.ts';
import { createEntry, runServer } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';

let server: RunningTestServer;
let before: Scrape;
let after: Scrape;

beforeAll(async () => {
  server = await runServer({
    sections: `telemetry {
      Prometheus { host = "127.0.0.1" port = 0 }
      EnableHostnameLabel = false
    }`,
  });
  before = await scrape(metricsPort(server.lines));
  const agent = await server.attestAgent();
  const entry = await createEntry(server.local, '/workload', agent.path);
  // A new entry is in the server's cache a moment after it is in the store.
  while ((await agent.entry.getAuthorizedEntries({ outputMask: undefined })).entries.length === 0) continue;
  const { privateKey } = generateKeyPairSync('ec-p256');
  const csr = createCsr({ signer: signerOf(privateKey) });
  await agent.svid.batchNewX509Svid({ params: [{ entryId: entry.id, csr }] });
  await agent.svid.newJwtsvid({ entryId: entry.id, audience: ['a'] });
  await agent.bundle.getBundle({ outputMask: undefined });
  await server.local.entry.listEntries({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' });
  await server.local.svid.mintX509Svid({
    csr: createCsr({ signer: signerOf(privateKey), spiffeId: parseSpiffeId('spiffe://example.org/minted') }),
    ttl: 60,
  });
  await server.local.svid.mintX509Svid({ csr: new Uint8Array(), ttl: 60 }).catch(() => undefined);
  await server.local.entry.batchDeleteEntry({ ids: [entry.id] });
  await agent.entry
    .listEntries({ filter: undefined, outputMask: undefined, pageSize: 0, pageToken: '' })
    .catch(() => undefined);
  after = await scrape(metricsPort(server.lines));
});
afterAll(() => server.close());

const dashboard = [
  'started{trust_domain_id="example_org",version="1_15_3_espalier_0_1_0"}',
  'uptime_in_ms',
  'runtime_alloc_bytes',
  'entry_cache_reload_elapsed_time_sum{status="OK"}',
  'entry_cache_reload_elapsed_time_count{status="OK"}',
  'datastore_registration_entry_list_elapsed_time_sum{status="OK"}',
  'datastore_registration_entry_list_elapsed_time_count{status="OK"}',
  ...[
    'agent_v1_agent_attest_agent',
    'bundle_v1_bundle_get_bundle',
    'entry_v1_entry_batch_create_entry',
    'entry_v1_entry_batch_delete_entry',
    'entry_v1_entry_get_authorized_entries',
    'entry_v1_entry_list_entries',
    'svid_v1_svid_batch_new_x509svid',
    'svid_v1_svid_new_jwtsvid',
  ].flatMap((name) => [
    `rpc_${name}{status="OK"}`,
    `rpc_${name}_elapsed_time_sum{status="OK"}`,
    `rpc_${name}_elapsed_time_count{status="OK"}`,
  ]),
].map((name) => `spire_server_${name}`);

describe('the server’s metrics', () => {
  // A sample that only a server with an upstream authority has.
  const absent = 'spire_server_upstream_authority_mint_x509_ca_duration_seconds';
  it('have every name that the README has', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../../../README.md'), 'utf8');
    const named = quotedIn(sectionOf(readme, 'Observability')).filter(
      (word) => word.startsWith('spire_server_') && word !== absent,
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !after.kinds.has(name))).toEqual([]);
  });

  it.for(dashboard)('have %s', (name) => {
    expect(after.values.get(name), [...after.values.keys()].join('\n')).toBeGreaterThan(0);
  });

  it('count refused calls by their status', () => {
    expect(after.values.get('spire_server_rpc_svid_v1_svid_mint_x509svid{status="InvalidArgument"}')).toBe(1);
    expect(after.values.get('spire_server_rpc_svid_v1_svid_mint_x509svid{status="OK"}')).toBe(1);
    expect(after.values.get('spire_server_rpc_entry_v1_entry_list_entries{status="PermissionDenied"}')).toBe(1);
  });

  it('count what the CA signed, by kind', () => {
    // The agent's, the workload's, and the minted one.
    const grown = (name: string) => after.values.get(name)! - before.values.get(name)!;
    expect(grown('spire_server_server_ca_sign_x509_svid')).toBe(3);
    expect(grown('spire_server_svid_issued_count{svid_type="x509_svid"}')).toBe(3);
    expect(grown('spire_server_server_ca_sign_jwt_svid')).toBe(1);
    expect(grown('spire_server_svid_issued_count{svid_type="jwt_svid"}')).toBe(1);
    expect(grown('spire_server_server_ca_sign_x509_ca_svid')).toBe(0);
  });

  it('tell of the CA and its rotation', () => {
    const expiration = before.values.get(
      'spire_server_manager_x509_ca_rotate_expiration{trust_domain_id="example_org"}',
    );
    const ttl = before.values.get('spire_server_manager_x509_ca_rotate_ttl{trust_domain_id="example_org"}');
    expect(Math.abs(expiration! - ttl! - Date.now() / 1000)).toBeLessThan(60);
    for (const name of [
      'ca_manager_x509_ca_activate',
      'ca_manager_x509_ca_rotate_count',
      'ca_manager_x509_ca_prepare{status="OK"}',
      'ca_manager_jwt_key_prepare{status="OK"}',
      'manager_jwt_key_activate',
      'svid_rotate{status="OK"}',
    ]) {
      expect([name, before.values.get(`spire_server_${name}`)]).toEqual([name, 1]);
    }
  });

  it('count nothing as an error of the datastore that is not one', () => {
    expect(after.values.get('spire_server_datastore_errors_total')).toBe(0);
  });

  it('keep the kinds that SPIRE gives them', () => {
    const kindOf = (name: string) => after.kinds.get(`spire_server_${name}`);
    expect(kindOf('rpc_svid_v1_svid_mint_x509svid')).toBe('counter');
    expect(kindOf('rpc_svid_v1_svid_mint_x509svid_elapsed_time')).toBe('summary');
    expect(kindOf('started')).toBe('gauge');
  });
});
