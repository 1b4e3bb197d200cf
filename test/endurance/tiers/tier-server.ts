// One server of the three tiers: started, told where to die, started again on the same data, and asked over its private socket.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { HealthCheckResponse_ServingStatus, HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { EntryService } from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import type { FaultPoint } from '../../../runtime/server/ca/fault-points.ts';
import type { Order } from './server-process.ts';

export interface TierServerOptions {
  readonly directory: string;
  readonly name: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly upstream?: { readonly port: number; readonly workloadApiSocket: string };
  /** More lines of the server section. */
  readonly settings?: string;
  readonly plugins?: string;
}

const startPatienceMs = 60_000;

export type TierServer = Awaited<ReturnType<typeof startTierServer>>;

export async function startTierServer({
  directory,
  name,
  port,
  databaseUrl,
  upstream,
  settings = '',
  plugins = '',
}: TierServerOptions) {
  const own = join(directory, name);
  mkdirSync(own, { recursive: true });
  const socketPath = join(own, 'api.sock');
  const [configPath, logPath] = [join(own, 'server.conf'), join(own, 'server.log')];
  const above =
    upstream === undefined
      ? ''
      : `UpstreamAuthority "spire" { plugin_data {
           server_address = "127.0.0.1"
           server_port = "${upstream.port}"
           workload_api_socket = "${upstream.workloadApiSocket}"
         } }`;
  const config = `
    server {
      trust_domain = "example.org"
      bind_address = "127.0.0.1"
      bind_port = ${port}
      socket_path = "${socketPath}"
      data_dir = "${own}/data"
      ratelimit { attestation = false signing = false }
      ${settings}
    }
    plugins {
      DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "${databaseUrl}" } }
      KeyManager "disk" { plugin_data { keys_path = "${own}/keys.json" } }
      ${above}
      ${plugins}
    }`;
  writeFileSync(configPath, config, { mode: 0o600 });

  const begin = async (): Promise<ChildProcess> => {
    const child = fork(new URL('./server-process.ts', import.meta.url), [configPath, logPath], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const signal = AbortSignal.timeout(startPatienceMs);
    const ended = once(child, 'exit', { signal }).then(() => {
      throw new Error(`server ${name} ended at its start:\n${readFileSync(logPath, 'utf8').slice(-2_000)}`);
    });
    ended.catch(() => undefined); // looked at while it starts only
    await Promise.race([once(child, 'message', { signal }), ended]);
    return child;
  };

  let child = await begin();
  const kill = async (): Promise<void> => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  const channel = connect({ unixPath: socketPath });
  const clients = {
    agent: createClient(AgentService, channel),
    bundle: createClient(BundleService, channel),
    entry: createClient(EntryService, channel),
    authority: createClient(LocalAuthorityService, channel),
    svid: createClient(SVIDService, channel),
    health: createClient(HealthService, channel),
    fleet: createClient(FleetService, channel),
  };
  return {
    name,
    port,
    socketPath,
    ...clients,
    async dieAt(dieAt: FaultPoint | null): Promise<void> {
      const order: Order = { dieAt };
      child.send(order);
      await once(child, 'message', { signal: AbortSignal.timeout(startPatienceMs) });
    },
    /** Resolves when it has died by itself; says how. */
    async death(patienceMs: number): Promise<string> {
      if (child.exitCode === null && child.signalCode === null)
        await once(child, 'exit', { signal: AbortSignal.timeout(patienceMs) });
      return child.signalCode ?? `exit code ${child.exitCode ?? 0}`;
    },
    kill,
    async restart(): Promise<void> {
      child = await begin();
    },
    async isHealthy(): Promise<boolean> {
      const { status } = await clients.health.check({ service: '' }, { deadlineMs: 2_000 });
      return status === HealthCheckResponse_ServingStatus.SERVING;
    },
    async stop(): Promise<void> {
      channel.close();
      if (child.exitCode === null && child.signalCode === null) await kill();
    },
  };
}
