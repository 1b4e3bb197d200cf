// Three tiers of servers, each in a process of its own on one PostgreSQL: two replicas of the root, a middle one and a leaf, and between them the agents
// by which a downstream server is introduced to its upstream.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { readAgentConfig } from '../../../runtime/agent/config/read-config.ts';
import { runAgent } from '../../../runtime/agent/agent.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { createLog } from '../../../runtime/log.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { createWorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import { createX509Source } from '../../../runtime/workloadapi/x509-source.ts';
import { writeFileSync, mkdirSync } from 'node:fs';
import { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { startPostgres } from '../../support/postgres-server.ts';
import { startTierServer } from './tier-server.ts';
import type { TierServer } from './tier-server.ts';

export const tierNames = ['root', 'middle', 'leaf'] as const;
export type TierName = (typeof tierNames)[number];

export interface Tiers {
  readonly servers: Readonly<Record<TierName | 'replica', TierServer>>;
  /** What each agent between two tiers gives its workloads as the bundle: DER. */
  readonly agentBundles: () => Promise<readonly (readonly Uint8Array[])[]>;
  /** An agent behind a server, whose workload is this process under the given path; resolves with its socket when there is an SVID. */
  introduce(server: TierServer, name: string, path: string): Promise<string>;
  readonly directory: string;
  readonly close: () => Promise<void>;
}

const selectors = [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }];

/** `settings`: more lines of every server's section. */
export async function startTiers(settings = ''): Promise<Tiers> {
  const directory = mkdtempSync('/tmp/espalier-tiers-');
  const stops: (() => Promise<void>)[] = [async () => rmSync(directory, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop().catch((error: unknown) => console.error(error));
  };
  try {
    const postgres = await startPostgres();
    stops.push(() => postgres.remove());
    const start = async (
      name: string,
      database: string,
      upstream?: Parameters<typeof startTierServer>[0]['upstream'],
    ) => {
      const databaseUrl = await ensureDatabase(postgres.url, database);
      const more = upstream === undefined ? {} : { upstream };
      const server = await startTierServer({ directory, name, port: await freePort(), databaseUrl, settings, ...more });
      stops.push(() => server.stop());
      return server;
    };
    const sockets: string[] = [];
    const place = async (server: TierServer, name: string, entry: Partial<Entry>): Promise<string> => {
      const agent = await introduce(server, join(directory, `agent-${name}`), entry);
      stops.push(agent.stop);
      sockets.push(agent.socketPath);
      return agent.socketPath;
    };
    const below = async (server: TierServer, name: string) => {
      const entry = { spiffeId: { trustDomain: 'example.org', path: `/downstream/${name}` }, downstream: true };
      return { port: server.port, workloadApiSocket: await place(server, name, entry) };
    };
    const root = await start('root', 'root');
    const replica = await start('replica', 'root');
    const middle = await start('middle', 'middle', await below(root, 'middle'));
    const leaf = await start('leaf', 'leaf', await below(middle, 'leaf'));
    const agentBundles = () => Promise.all(sockets.map(bundleAt));
    return {
      servers: { root, replica, middle, leaf },
      agentBundles,
      introduce: (server, name, path) => place(server, name, { spiffeId: { trustDomain: 'example.org', path } }),
      directory,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An agent of the server, and the entry of this process behind it; resolves when the Workload API has an SVID. */
async function introduce(server: TierServer, directory: string, entry: Partial<Entry>) {
  mkdirSync(directory, { recursive: true });
  const { value } = await server.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  const parentId = { trustDomain: 'example.org', path: `/spire/agent/join_token/${value}` };
  await server.entry.batchCreateEntry({
    entries: [Entry.create({ ...entry, parentId, selectors })],
    outputMask: undefined,
  });
  const bundle = await server.bundle.getBundle({ outputMask: undefined });
  const bundlePath = join(directory, 'bootstrap.pem');
  writeFileSync(bundlePath, certificatesToPem(bundle.x509Authorities.map(({ asn1 }) => asn1)));
  const socketPath = join(directory, 'api.sock');
  const config = readAgentConfig(
    parseHcl(`
      agent {
        data_dir = "${directory}/data"
        server_address = "127.0.0.1"
        server_port = ${server.port}
        socket_path = "${socketPath}"
        trust_domain = "example.org"
        trust_bundle_path = "${bundlePath}"
        join_token = "${value}"
        experimental { sync_interval = "500ms" }
      }
      plugins {
        NodeAttestor "join_token" { plugin_data {} }
        KeyManager "memory" { plugin_data {} }
        WorkloadAttestor "unix" { plugin_data {} }
      }`),
  );
  const stopping = new AbortController();
  const log = createLog({ level: 'debug', format: 'text', file: join(directory, 'agent.log') });
  const ended = runAgent(config, { log, clock: Date.now, random: Math.random, signal: stopping.signal });
  ended.catch((error: unknown) => {
    if (!stopping.signal.aborted) console.error(error);
  });
  const api = createWorkloadApi({ socketPath });
  const source = await createX509Source({ api, signal: AbortSignal.timeout(60_000) });
  source.close();
  api.close();
  return {
    socketPath,
    stop: async () => {
      stopping.abort();
      await ended.catch(() => undefined);
    },
  };
}

async function bundleAt(socketPath: string): Promise<Uint8Array[]> {
  const api = createWorkloadApi({ socketPath });
  try {
    for await (const { bundles } of api.fetchX509Svid({ deadlineMs: 5_000 })) {
      return (bundles.get('example.org')?.x509Authorities ?? []).map(({ asn1 }) => asn1);
    }
    throw new Error(`the agent at ${socketPath} ended its answer before it began`);
  } finally {
    api.close();
  }
}

export async function ensureDatabase(server: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
  if (found.rowCount === 0) await client.query(`CREATE DATABASE ${name} TEMPLATE template0`);
  await client.end();
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
