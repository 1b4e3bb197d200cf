// An agent of ours that is read by Prometheus: the names that SPIRE's dashboard asks for, and those that alerts use beside them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../../../runtime/rpc/client.ts';
import { SecretDiscoveryServiceService } from '../../../../proto/gen/envoy/service/secret/v3/sds.ts';
import { DiscoveryRequest } from '../../../../proto/gen/envoy/service/discovery/v3/discovery.ts';
import { startFakeSpireServer } from '../../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../../support/fake-spire-server.ts';
import { quotedIn, sectionOf } from '../../../support/markdown.ts';
import { metricsPort, scrape } from '../../../support/metrics.ts';
import type { Scrape } from '../../../support/metrics.ts';
import { callMetadata, startAgent } from '../../../support/run-agent.ts';
import type { RunningAgent } from '../../../support/run-agent.ts';

const mine = `unix:uid:${process.getuid?.() ?? 0}`;
const metadata = callMetadata;
let server: FakeSpireServer;
let agent: RunningAgent;
let metrics: Scrape;
let whileWatching: Scrape;

const read = () => scrape(metricsPort(agent.lines));

beforeAll(async () => {
  server = await startFakeSpireServer();
  server.setEntries({ id: 'entry-1', path: '/workload', selectors: [mine] });
  agent = await startAgent({
    port: server.port,
    bundlePem: server.bundlePem(),
    joinToken: server.createToken(),
    sections: 'telemetry { Prometheus { host = "127.0.0.1" port = 0 } EnableHostnameLabel = false }',
  });
  await agent.serving();
  for await (const { svids } of agent.api.fetchX509Svid({}, { metadata })) {
    expect(svids).toHaveLength(1);
    whileWatching = await read();
    break;
  }
  await first(agent.api.fetchX509Bundles({}, { metadata }));
  await first(agent.api.fetchJwtBundles({}, { metadata }));
  await agent.api.fetchJwtsvid({ audience: ['a'], spiffeId: '' }, { metadata });
  await agent.api.fetchJwtsvid({ audience: [], spiffeId: '' }, { metadata }).catch(() => undefined);
  const sds = createClient(SecretDiscoveryServiceService, agent.channel);
  await sds.fetchSecrets(DiscoveryRequest.create({}));
  metrics = await until((now) => now.values.get('spire_agent_workload_api_connections') === 0);
}, 60_000);
afterAll(async () => {
  await agent.remove();
  await server.close();
});

async function first<T>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) return message;
  throw new Error('stream ended');
}

async function until(holds: (now: Scrape) => boolean): Promise<Scrape> {
  for (;;) {
    const now = await read();
    if (holds(now)) return now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const counted = (name: string, labels = '') => [
  `${name}{${labels}status="OK"}`,
  `${name}_elapsed_time_sum{${labels}status="OK"}`,
  `${name}_elapsed_time_count{${labels}status="OK"}`,
];
const dashboard = [
  'started{trust_domain_id="example_org",version="0_1_0"}',
  'uptime_in_ms',
  'runtime_alloc_bytes',
  'sds_api_connection',
  'workload_api_connection',
  ...[
    'manager_sync_fetch_entries_updates',
    'manager_sync_fetch_svids_updates',
    'rpc_workload_api_fetch_x509svid',
    'rpc_workload_api_fetch_x509_bundles',
    'rpc_workload_api_fetch_jwtsvid',
    'rpc_workload_api_fetch_jwt_bundles',
    'workload_api_workload_attestation',
    'agent_key_manager_generate_key',
  ].flatMap((name) => counted(name)),
  ...counted('node_attestor_new_svid', 'attestor="join_token",'),
].map((name) => `spire_agent_${name}`);

describe('the agent’s metrics', () => {
  it('have every name that the README has', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../../../README.md'), 'utf8');
    const named = quotedIn(sectionOf(readme, 'Observability')).filter((word) => word.startsWith('spire_agent_'));
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !metrics.kinds.has(name))).toEqual([]);
  });

  it.for(dashboard)('have %s', (name) => {
    expect(metrics.values.get(name), [...metrics.values.keys()].join('\n')).toBeGreaterThan(0);
  });

  it('count the calls that are open now, and those that were', () => {
    expect(whileWatching.values.get('spire_agent_workload_api_connections')).toBe(1);
    expect(metrics.values.get('spire_agent_workload_api_connections')).toBe(0);
    expect(metrics.values.get('spire_agent_workload_api_connection')).toBe(5);
    expect(metrics.values.get('spire_agent_sds_api_connections')).toBe(0);
    expect(metrics.values.get('spire_agent_sds_api_connection')).toBe(1);
  });

  it('count refused calls by their status, and each attestor', () => {
    expect(metrics.values.get('spire_agent_rpc_workload_api_fetch_jwtsvid{status="InvalidArgument"}')).toBe(1);
    expect(metrics.values.get('spire_agent_workload_api_workload_attestor{attestor="unix",status="OK"}')).toBe(5);
    expect(metrics.values.get('spire_agent_workload_api_discovered_selectors_count')).toBe(5);
  });

  it('tell what the agent holds', () => {
    const holds = (name: string) => metrics.values.get(`spire_agent_${name}`);
    expect(holds('lru_cache_record_map_size')).toBe(1);
    expect(holds('lru_cache_svid_map_size')).toBe(1);
    expect(holds('jwt_svid_cache_size')).toBe(1);
    expect(holds('lru_cache_entry_add')).toBe(1);
    expect(holds('lru_cache_entry_remove')).toBe(0);
    expect(holds('sync_bundles_total')).toBe(1);
    expect(holds('sync_entries_total')).toBe(1);
    expect(holds('svid_ttl_seconds{svid="agent"}')).toBeGreaterThan(60);
    expect(holds('svid_ttl_seconds{svid="workload"}')).toBeGreaterThan(60);
  });

  it('count a server that cannot be reached', async () => {
    expect(metrics.values.get('spire_agent_server_connection_errors_total')).toBe(0);
    await server.close();
    const name = 'spire_agent_server_connection_errors_total';
    const after = await until((now) => now.values.get(name)! > 0);
    expect(after.values.get('spire_agent_manager_sync_fetch_entries_updates{status="Unavailable"}')).toBeGreaterThan(0);
  });
});

describe('the agent’s audit log', () => {
  const audits = () =>
    agent.lines.filter((line) => line.includes('type=audit')).map((line) => line.replace(/^time="[^"]+" /, ''));

  it('has a line for each SVID that went out, with who got it and what it was', () => {
    const uid = process.getuid?.() ?? 0;
    const gid = process.getgid?.() ?? 0;
    const about = (method: string) =>
      new RegExp(
        `^level=info msg="SVID delivered" (?:audience=a )?entry_id=entry-1 expires_at="[0-9TZ:-]+" gid=${gid} method=${method} pid=${process.pid} selector_count=\\d+ (?:serial_num=\\d+ )?spiffe_id="spiffe://example.org/workload" svid_type=(x509|jwt) type=audit uid=${uid}\n$`,
      );
    const lines = audits();
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(about('/SpiffeWorkloadAPI/FetchX509SVID'));
    expect(lines[1]).toMatch(about('/SpiffeWorkloadAPI/FetchJWTSVID'));
    expect(lines[2]).toMatch(about('/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets'));
    expect(lines.map((line) => /svid_type=(\w+)/.exec(line)?.[1])).toEqual(['x509', 'jwt', 'x509']);
    expect(lines[0]).toContain('serial_num=');
    expect(lines[1]).toContain('audience=a ');
  });

  it('holds neither a token, nor a key, nor what the process is', () => {
    const lines = audits().join('');
    expect(lines).not.toMatch(/eyJ|PRIVATE|unix:/);
  });
});
