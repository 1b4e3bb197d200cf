// A server of ours in this process, whose connections to PostgreSQL go through the proxy, and its clients.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryService } from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { HealthCheckResponse_ServingStatus, HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { createLog } from '../../../runtime/log.ts';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import { parseServerConfig } from '../../../runtime/server/config/server-config.ts';
import { startServer } from '../../../runtime/server/server.ts';
import { startPostgres } from '../../support/postgres-server.ts';
import { startDatabaseProxy } from './database-proxy.ts';

export type CutStage = Awaited<ReturnType<typeof openCutStage>>;

export async function openCutStage() {
  const directory = mkdtempSync('/tmp/espalier-cuts-');
  const postgres = await startPostgres();
  const { hostname: host, port } = new URL(postgres.url);
  const proxy = await startDatabaseProxy({ host, port: Number(port) });
  const through = new URL(postgres.url);
  through.port = String(proxy.port);
  const socketPath = join(directory, 'api.sock');
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
      }`),
  );
  const log = createLog({ level: 'debug', format: 'text', file: join(directory, 'server.log') });
  const server = await startServer(config, { log, clock: Date.now, signal: new AbortController().signal });
  const channel = connect({ unixPath: socketPath });
  const health = createClient(HealthService, channel);
  return {
    proxy,
    agent: createClient(AgentService, channel),
    bundle: createClient(BundleService, channel),
    entry: createClient(EntryService, channel),
    authority: createClient(LocalAuthorityService, channel),
    svid: createClient(SVIDService, channel),
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
      channel.close();
      await server.close();
      await proxy.close();
      await postgres.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
