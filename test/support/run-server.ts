// A server of ours in the test's own process, on 127.0.0.1 and an empty database, with clients for its private socket and for TLS callers of every kind.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HealthService } from '../../proto/gen/grpc/health/v1/health.ts';
import { ServiceIdentitiesService } from '../../proto/gen/espalier/service/v1/service.ts';
import { AgentService } from '../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryService } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDService } from '../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainService } from '../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { Entry } from '../../proto/gen/spire/api/types/entry.ts';
import { parseHcl } from '../../runtime/hcl/parse.ts';
import { createLog } from '../../runtime/log.ts';
import { createCsr } from '../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { signerOf } from '../../runtime/pki/signer.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../runtime/rpc/client.ts';
import type { TlsCredentials } from '../../runtime/rpc/tls-credentials.ts';
import { serverVerifier } from '../../runtime/rpc/verify-peer.ts';
import { parseServerConfig } from '../../runtime/server/config/server-config.ts';
import { startServer } from '../../runtime/server/server.ts';
import { parseSpiffeId, serverId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { createTestDatabase } from './postgres.ts';

export const trustDomain = parseTrustDomain('example.org');

export interface RunServerOptions {
  /** More lines of the server section. */
  readonly settings?: string;
  /** More plugins, and sections beside. */
  readonly plugins?: string;
  readonly sections?: string;
  readonly clock?: () => number;
  /** Instead of an empty one that goes with the server. */
  readonly databaseUrl?: string;
}

/** Every client of the API over one channel. */
export function clientsOf(channel: RpcChannel) {
  return {
    agent: createClient(AgentService, channel),
    bundle: createClient(BundleService, channel),
    entry: createClient(EntryService, channel),
    service: createClient(ServiceIdentitiesService, channel),
    svid: createClient(SVIDService, channel),
    trustDomain: createClient(TrustDomainService, channel),
    health: createClient(HealthService, channel),
  };
}

export type Clients = ReturnType<typeof clientsOf>;

export async function runServer(options: RunServerOptions = {}) {
  const { settings = '', plugins = '', sections = '', clock = Date.now } = options;
  const { databaseUrl } = options;
  const database = databaseUrl === undefined ? await createTestDatabase() : keptDatabase(databaseUrl);
  const directory = await mkdtemp(join(tmpdir(), 'server-'));
  const socketPath = join(directory, 'private/api.sock');
  const config = parseServerConfig(
    parseHcl(`
      server {
        bind_address = "127.0.0.1"
        bind_port = 0
        socket_path = "${socketPath}"
        trust_domain = "${trustDomain.name}"
        data_dir = "${directory}/data"
        ${settings.includes('ratelimit') ? '' : 'ratelimit { attestation = false }'}
        ${settings}
      }
      plugins {
        DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "${database.url}" } }
        KeyManager "memory" { plugin_data {} }
        ${plugins}
      }
      ${sections}`),
  );
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line) });
  const stopping = new AbortController();
  const server = await startServer(config, { log, clock, signal: stopping.signal });
  const localChannel = connect({ unixPath: socketPath });
  const channels: RpcChannel[] = [localChannel];
  const local = clientsOf(localChannel);
  const bundle = await local.bundle.getBundle({ outputMask: undefined });
  const roots = bundle.x509Authorities.map(({ asn1 }) => asn1);

  const openTls = (credentials?: TlsCredentials): RpcChannel => {
    const channel = connect({
      host: '127.0.0.1',
      port: server.address.port,
      verifyServer: serverVerifier({ expectedId: serverId(trustDomain), roots: () => roots, clock }),
      ...(credentials === undefined ? {} : { credentials: () => credentials }),
    });
    channels.push(channel);
    return channel;
  };
  const connectTls = (credentials?: TlsCredentials): Clients => clientsOf(openTls(credentials));

  return {
    socketPath,
    port: server.address.port,
    bundlePem: certificatesToPem(roots),
    roots,
    /** What it logged. */
    lines,
    local,
    localChannel,
    connectTls,
    openTls,
    /** After a rotation of the authority. */
    async trustPresentBundle(): Promise<void> {
      const present = await local.bundle.getBundle({ outputMask: undefined });
      roots.splice(0, roots.length, ...present.x509Authorities.map(({ asn1 }) => asn1));
    },
    /** A caller with an SVID of that ID, minted by the server itself. */
    async connectAs(id: string): Promise<Clients> {
      return connectTls(await this.mintCredentials(id));
    },
    async mintCredentials(id: string): Promise<TlsCredentials> {
      const { privateKey } = generateKeyPairSync('ec-p256');
      const csr = createCsr({ signer: signerOf(privateKey), spiffeId: parseSpiffeId(id) });
      const { svid } = await local.svid.mintX509Svid({ csr, ttl: 0 });
      return { certificateChainPem: certificatesToPem(svid!.certChain), privateKey };
    },
    /** Attests with a join token; the clients are the agent's. */
    async attestAgent(alias?: string) {
      const agentId = alias === undefined ? undefined : { trustDomain: trustDomain.name, path: alias };
      const token = await local.agent.createJoinToken({ ttl: 60, token: '', agentId });
      const { privateKey } = generateKeyPairSync('ec-p256');
      const csr = createCsr({ signer: signerOf(privateKey) });
      const result = await attest(connectTls(), { type: 'join_token', payload: Buffer.from(token.value) }, csr);
      const credentials = { certificateChainPem: certificatesToPem(result.svid!.certChain), privateKey };
      const id = `spiffe://${trustDomain.name}${result.svid!.id!.path}`;
      return { id, path: result.svid!.id!.path, token: token.value, ...connectTls(credentials), credentials };
    },
    async close(): Promise<void> {
      for (const channel of channels) channel.close();
      await server.close();
      await database.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function keptDatabase(url: string) {
  return { url, drop: () => Promise.resolve() };
}

export type RunningTestServer = Awaited<ReturnType<typeof runServer>>;

/** One exchange without challenges; throws the refusal. */
export async function attest(
  { agent }: Clients,
  data: { type: string; payload: Uint8Array },
  csr: Uint8Array,
  metadata: Readonly<Record<string, string>> = {},
) {
  const request = { step: { $case: 'params' as const, value: { data, params: { csr } } } };
  for await (const { step } of agent.attestAgent(requests(request), { metadata })) {
    if (step?.$case === 'result') return step.value;
  }
  throw new Error('server ended the exchange without a result');
}

async function* requests<T>(...values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

/** A workload's entry below a parent, made through the API. */
export async function createEntry(
  { entry }: Clients,
  path: string,
  parentPath: string,
  more: Partial<Entry> = {},
): Promise<Entry> {
  const entries = [
    {
      ...Entry.create({
        spiffeId: { trustDomain: trustDomain.name, path },
        parentId: { trustDomain: trustDomain.name, path: parentPath },
        selectors: [{ type: 'unix', value: `path:${path}` }],
      }),
      ...more,
    },
  ];
  const { results } = await entry.batchCreateEntry({ entries, outputMask: undefined });
  const [result] = results;
  if (result?.status?.code !== 0 || result.entry === undefined)
    throw new Error(`entry not created: ${result?.status?.message ?? ''}`);
  return result.entry;
}
