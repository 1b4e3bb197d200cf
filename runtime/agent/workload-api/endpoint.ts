// The socket that every workload on the machine may connect to: the Workload API, what services ask for those they
// run, Envoy's secret discovery, and health.
import { SecretDiscoveryServiceService } from '../../../proto/gen/envoy/service/secret/v3/sds.ts';
import { ServiceBrokerService } from '../../../proto/gen/espalier/service/v1/service.ts';
import { HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { SpiffeWorkloadAPIService } from '../../../proto/gen/spiffe/workload/workload.ts';
import type { Logger } from '../../log.ts';
import { createRpcServer } from '../../rpc/server.ts';
import type { RpcServer } from '../../rpc/server.ts';
import { createRpcObserver } from '../../telemetry/rpc-observer.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import { createDeliveryAudit } from '../audit-log.ts';
import { createServiceBroker } from '../broker/service-broker.ts';
import type { ServiceBrokerOptions } from '../broker/service-broker.ts';
import type { JwtSvids } from '../cache/jwt-svids.ts';
import type { WorkloadCache } from '../cache/svid-cache.ts';
import type { AgentConfig } from '../config/agent-config.ts';
import type { AgentHealth } from '../health/health.ts';
import { createSds } from '../sds/service.ts';
import type { EntryDemand } from '../sync/demand.ts';
import { createConnectionObserver } from '../telemetry/connections.ts';
import { measureRateLimiter } from '../telemetry/measured-attestation.ts';
import { createAdmission } from './admission.ts';
import type { Callers } from './caller.ts';
import { createRateLimiter } from './rate-limit.ts';
import { checkSecurityHeader, createWorkloadApi } from './service.ts';
import { prepareSocketDirectory } from './socket-directory.ts';

/** Room for every workload of a big machine, each with a few streams; beyond it the agent keeps the memory and the files that it needs itself. */
const maxConnections = 16_384;
const maxOpenStreams = 32_768;
/** A token to be validated, or what Envoy says of its node; each stream may hold so much. */
const maxMessageBytes = 256 * 1024;

export interface EndpointParts {
  readonly cache: WorkloadCache;
  readonly demand: EntryDemand;
  readonly jwtSvids: JwtSvids;
  readonly callers: Callers;
  /** Of the server: what it gives to services. */
  readonly services: ServiceBrokerOptions['server'];
  readonly health: AgentHealth;
  readonly clock: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** None where the configuration has nothing served. */
export async function serveWorkloads(config: AgentConfig, parts: EndpointParts): Promise<RpcServer[]> {
  const { socketPath, disableWorkloadApi, sds, rateLimits, shares, logSelectors } = config;
  if (socketPath === undefined) return [];
  const { cache, demand, jwtSvids, callers, services, health, clock, log, metrics } = parts;
  for (const [method, limit] of rateLimits) log.info({ method, limit }, 'Workload API/SDS rate limiting enabled');
  const rateLimiter = measureRateLimiter(createRateLimiter({ limits: rateLimits, clock }), metrics);
  const admission = createAdmission({ callers, rateLimiter, cache, demand, logSelectors, log });

  const audit = createDeliveryAudit(log);
  const observe = [createRpcObserver(metrics), createConnectionObserver(metrics)];
  const server = createRpcServer({
    log,
    intercept: checkSecurityHeader,
    observe,
    shares,
    maxConnections,
    maxOpenStreams,
    maxRunningCalls: maxOpenStreams, // a process has its share of both
    maxMessageBytes,
  });
  if (!disableWorkloadApi) {
    server.addService(
      SpiffeWorkloadAPIService,
      createWorkloadApi({ ...config, cache, jwtSvids, admission, audit, clock, log }),
    );
    server.addService(
      ServiceBrokerService,
      createServiceBroker({ admission, callers, cache, demand, server: services, log }),
    );
  }
  if (sds !== undefined)
    server.addService(SecretDiscoveryServiceService, createSds({ config: sds, cache, admission, audit, log }));
  server.addService(HealthService, health.handlers());
  await prepareSocketDirectory(socketPath, log);
  await server.listenUnix(socketPath, { mode: 0o777 });
  log.info(
    { network: 'unix', address: socketPath, apis: apiNames(!disableWorkloadApi, sds !== undefined) },
    'Starting agent APIs',
  );
  return [server];
}

function apiNames(workloadApi: boolean, sds: boolean): string {
  if (workloadApi && sds) return 'Workload and SDS APIs';
  return workloadApi ? 'Workload API' : 'SDS API';
}
