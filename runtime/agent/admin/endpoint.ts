// The socket for operators and delegates: delegated identities, debug, the log's level, health. Its file mode keeps everybody else out, so it must
// not lie where workloads find theirs.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DebugService } from '../../../proto/gen/spire/api/agent/debug/v1/debug.ts';
import { DelegatedIdentityService } from '../../../proto/gen/spire/api/agent/delegatedidentity/v1/delegatedidentity.ts';
import { LoggerService } from '../../../proto/gen/spire/api/agent/logger/v1/logger.ts';
import { HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { logControlOf } from '../../log.ts';
import type { Logger } from '../../log.ts';
import { createLoggerHandlers } from '../../rpc/logger-handlers.ts';
import type { OnLogChange } from '../../rpc/logger-handlers.ts';
import { createRpcServer } from '../../rpc/server.ts';
import type { RpcServer } from '../../rpc/server.ts';
import { createRpcObserver } from '../../telemetry/rpc-observer.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import { createDeliveryAudit } from '../audit-log.ts';
import type { JwtSvids } from '../cache/jwt-svids.ts';
import type { WorkloadCache } from '../cache/svid-cache.ts';
import type { AgentConfig } from '../config/agent-config.ts';
import type { AgentHealth } from '../health/health.ts';
import { createConnectionObserver } from '../telemetry/connections.ts';
import type { EntryDemand } from '../sync/demand.ts';
import type { Callers } from '../workload-api/caller.ts';
import { createDebugService } from './debug-service.ts';
import type { DebugOptions } from './debug-service.ts';
import { createDelegatedIdentity } from './delegated-identity.ts';
import { createDelegates } from './delegates.ts';

export interface AdminParts {
  readonly cache: WorkloadCache;
  readonly demand: EntryDemand;
  readonly jwtSvids: JwtSvids;
  readonly callers: Callers;
  readonly health: AgentHealth;
  readonly debug: DebugOptions;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** None where the configuration has no such socket. */
export async function serveAdmins(
  {
    adminSocketPath,
    authorizedDelegates,
    shares,
  }: Pick<AgentConfig, 'adminSocketPath' | 'authorizedDelegates' | 'shares'>,
  { cache, demand, jwtSvids, callers, health, debug, log, metrics }: AdminParts,
): Promise<RpcServer[]> {
  if (adminSocketPath === undefined) return [];
  const delegates = createDelegates({ authorized: authorizedDelegates, callers, cache, demand, log });
  const audit = createDeliveryAudit(log);
  const observe = [createRpcObserver(metrics), createConnectionObserver(metrics)];
  const server = createRpcServer({ log, observe, shares });
  server.addService(
    DelegatedIdentityService,
    createDelegatedIdentity({ delegates, callers, cache, demand, jwtSvids, audit, log, metrics }),
  );
  server.addService(DebugService, createDebugService(debug));
  const say: OnLogChange = (change, level) =>
    change === 'set'
      ? log.info({ new_log_level: level }, 'SetLogLevel Called')
      : log.info({ launch_log_level: level }, 'ResetLogLevel Called');
  server.addService(LoggerService, createLoggerHandlers(logControlOf(log), say));
  server.addService(HealthService, health.handlers());
  await mkdir(dirname(adminSocketPath), { recursive: true, mode: 0o750 });
  await server.listenUnix(adminSocketPath, { mode: 0o770 });
  log.info({ network: 'unix', address: adminSocketPath }, 'Starting Admin APIs');
  return [server];
}
