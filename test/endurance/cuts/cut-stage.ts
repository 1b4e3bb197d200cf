// A server of ours in this process, whose connections to PostgreSQL go through the proxy, and its clients; on demand another one below an authority that
// is not ours.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { ServiceIdentitiesService } from '../../../proto/gen/espalier/service/v1/service.ts';
import { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryService } from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainService } from '../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { HealthCheckResponse_ServingStatus, HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { createLog } from '../../../runtime/log.ts';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import type { TlsCredentials } from '../../../runtime/rpc/tls-credentials.ts';
import { serverVerifier } from '../../../runtime/rpc/verify-peer.ts';
import { parseServerConfig } from '../../../runtime/server/config/server-config.ts';
import { startServer } from '../../../runtime/server/server.ts';
import { parseSpiffeId, serverId } from '../../../runtime/spiffe/spiffe-id.ts';
import { createEnterpriseRoot } from '../../support/enterprise-ca.ts';
import { startPostgres } from '../../support/postgres-server.ts';
import { attest } from './change.ts';
import { startDatabaseProxy } from './database-proxy.ts';

type CutServer = Awaited<ReturnType<typeof openServer>>;
export interface CutStage extends CutServer {
  /** The same, below an authority that is not ours: opened when first asked for. */
  below(): Promise<CutStage>;
}

export async function openCutStage(): Promise<CutStage> {
  const server = await openServer(false);
  let lower: Promise<CutStage> | undefined;
  return {
    ...server,
    below: () =>
      (lower ??= openServer(true).then((below) => ({
        ...below,
        below: () => Promise.reject(new Error('two tiers are enough')),
      }))),
    async close() {
      await (await lower)?.close();
      await server.close();
    },
  };
}

async function openServer(isBelow: boolean) {
  const directory = mkdtempSync('/tmp/espalier-cuts-');
  const postgres = await startPostgres();
  const { hostname: host, port } = new URL(postgres.url);
  const proxy = await startDatabaseProxy({ host, port: Number(port) });
  const through = new URL(postgres.url);
  through.host = `127.0.0.1:${proxy.port}`;
  const socketPath = join(directory, 'api.sock');
  const upstream = createUpstreamFiles(directory);
  if (isBelow) upstream.replace();
  const config = parseServerConfig(
    parseHcl(`
      server {
        trust_domain = "example.org"
        bind_address = "127.0.0.1"
        bind_port = 0
        socket_path = "${socketPath}"
        data_dir = "${directory}/data"
        ratelimit { attestation = false signing = false }
      }
      plugins {
        DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "${through.href}" } }
        KeyManager "memory" { plugin_data {} }
        ${isBelow ? upstream.plugin : ''}
      }`),
  );
  const log = createLog({ level: 'debug', format: 'text', file: join(directory, 'server.log') });
  const server = await startServer(config, { log, clock: Date.now, signal: new AbortController().signal });
  const channel = connect({ unixPath: socketPath });
  const channels = [channel];
  const health = createClient(HealthService, channel);
  const connectTls = async (credentials?: TlsCredentials) => {
    const { x509Authorities } = await createClient(BundleService, channel).getBundle({ outputMask: undefined });
    const roots = x509Authorities.map(({ asn1 }) => asn1);
    const opened = connect({
      host: '127.0.0.1',
      port: server.address.port,
      verifyServer: serverVerifier({ expectedId: serverId(config.trustDomain), roots: () => roots, clock: Date.now }),
      ...(credentials === undefined ? {} : { credentials: () => credentials }),
    });
    channels.push(opened);
    return {
      agent: createClient(AgentService, opened),
      bundle: createClient(BundleService, opened),
      svid: createClient(SVIDService, opened),
      services: createClient(ServiceIdentitiesService, opened),
    };
  };
  return {
    proxy,
    agent: createClient(AgentService, channel),
    bundle: createClient(BundleService, channel),
    entry: createClient(EntryService, channel),
    authority: createClient(LocalAuthorityService, channel),
    svid: createClient(SVIDService, channel),
    federation: createClient(TrustDomainService, channel),
    fleet: createClient(FleetService, channel),
    services: createClient(ServiceIdentitiesService, channel),
    /** A caller with an SVID of that path. */
    async connectAs(path: string) {
      const { privateKey } = generateKeyPairSync('ec-p256');
      const spiffeId = parseSpiffeId(`spiffe://example.org${path}`);
      const { svid } = await createClient(SVIDService, channel).mintX509Svid({
        csr: createCsr({ signer: signerOf(privateKey), spiffeId }),
        ttl: 0,
      });
      return connectTls({ certificateChainPem: certificatesToPem(svid!.certChain), privateKey });
    },
    /** A new one, with its clients. */
    async attestAgent() {
      const { value } = await createClient(AgentService, channel).createJoinToken({
        ttl: 600,
        token: '',
        agentId: undefined,
      });
      const { privateKey } = generateKeyPairSync('ec-p256');
      const result = await attest((await connectTls()).agent, value, privateKey);
      const { certChain, id } = result.svid!;
      return {
        path: id!.path,
        ...(await connectTls({ certificateChainPem: certificatesToPem(certChain), privateKey })),
      };
    },
    /** A successor of the authority above; what it has signed is trusted as before. */
    replaceUpstream: () => upstream.replace(),
    /** Past the proxy. */
    countRows: async (statement: string, parameter: string): Promise<number> => {
      const client = new pg.Client({ connectionString: postgres.url });
      await client.connect();
      try {
        return (await client.query(statement, [parameter])).rowCount ?? 0;
      } finally {
        await client.end();
      }
    },
    async isHealthy(): Promise<boolean> {
      const { status } = await health.check({ service: '' }, { deadlineMs: 2_000 });
      return status === HealthCheckResponse_ServingStatus.SERVING;
    },
    async close(): Promise<void> {
      for (const open of channels) open.close();
      await server.close();
      await proxy.close();
      await postgres.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Each successor stands in the bundle beside those before it. */
function createUpstreamFiles(directory: string) {
  const at = (name: string): string => join(directory, `upstream-${name}.pem`);
  const roots: string[] = [];
  return {
    plugin: `UpstreamAuthority "disk" { plugin_data {
      cert_file_path = "${at('cert')}" key_file_path = "${at('key')}" bundle_file_path = "${at('bundle')}" } }`,
    replace(): void {
      const root = createEnterpriseRoot(`Root ${roots.length}`);
      roots.push(root.certificatePem);
      writeFileSync(at('bundle'), roots.join(''));
      writeFileSync(at('cert'), root.certificatePem);
      writeFileSync(at('key'), root.keyPem, { mode: 0o600 });
    },
  };
}
