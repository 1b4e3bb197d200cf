// All services of the server, put on an RPC server. What a service is not given answers UNIMPLEMENTED.
import { HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { ServiceIdentitiesService } from '../../../proto/gen/espalier/service/v1/service.ts';
import { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { DebugService } from '../../../proto/gen/spire/api/server/debug/v1/debug.ts';
import { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { LoggerService } from '../../../proto/gen/spire/api/server/logger/v1/logger.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainService } from '../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { logControlOf } from '../../log.ts';
import type { Logger } from '../../log.ts';
import { createLoggerHandlers } from '../../rpc/logger-handlers.ts';
import type { RpcServer } from '../../rpc/server.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { NodeAttestation } from '../attestation.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { Holdings } from '../fleet/holdings.ts';
import type { ReportBuffer } from '../fleet/report-buffer.ts';
import type { Watchers } from '../fleet/watchers.ts';
import type { Federation } from '../federation/federation.ts';
import type { HealthChecker } from '../health/health-checker.ts';
import type { AuthorizedEntries } from '../store/authorized-entries.ts';
import type { Store } from '../store/store.ts';
import { createAgentService } from './agent-service.ts';
import { createAttestAgent } from './attest-agent.ts';
import { createAuthorizedEntriesService } from './authorized-entries-service.ts';
import { createBundleService } from './bundle-service.ts';
import type { CallerOf } from './caller.ts';
import { createDebugService } from './debug-service.ts';
import { entryService } from './entry-list.ts';
import { createEntryService } from './entry-service.ts';
import { createFederatedBundleService } from './federated-bundle-service.ts';
import { createFleetService } from './fleet-service.ts';
import { createHealthService } from './health-service.ts';
import type { RateLimiter } from './rate-limit.ts';
import { createLocalAuthorityService } from './local-authority-service.ts';
import { createRenewAgent } from './renew-agent.ts';
import { createServiceIdentities } from './service-identities.ts';
import { createSvidService } from './svid-service.ts';
import { createTrustDomainService } from './trust-domain-service.ts';

export interface ServicesOptions {
  readonly trustDomain: TrustDomain;
  readonly store: Store;
  readonly cache: AuthorizedEntries;
  readonly authority: CertificateAuthority;
  readonly federation: Pick<Federation, 'refresh'>;
  readonly attest: NodeAttestation;
  readonly limiter: RateLimiter;
  readonly callerOf: CallerOf;
  readonly checker: HealthChecker;
  readonly watchers: Watchers;
  readonly reports: ReportBuffer;
  readonly holdings: Holdings;
  readonly disableJwtSvids: boolean;
  readonly clock: () => number;
  readonly log: Logger;
}

/** The services of both listeners. */
export function addServices(server: RpcServer, options: ServicesOptions): void {
  const { store } = options;
  server.addService(entryService, {
    ...createEntryService({ ...options, entries: store }),
    ...createAuthorizedEntriesService(options),
  });
  server.addService(AgentService, {
    ...createAgentService(options),
    ...createRenewAgent({ ...options, agents: store }),
    attestAgent: createAttestAgent({ ...options, agents: store }),
  });
  server.addService(SVIDService, createSvidService(options));
  server.addService(LocalAuthorityService, createLocalAuthorityService(options));
  server.addService(FleetService, createFleetService(options));
  server.addService(ServiceIdentitiesService, createServiceIdentities(options));
  server.addService(TrustDomainService, createTrustDomainService(options));
  server.addService(BundleService, {
    ...createBundleService({ ...options, bundles: store }),
    ...createFederatedBundleService({ ...options, bundles: store }),
  });
}

/** The services that exist on the Unix socket only. */
export function addLocalServices(server: RpcServer, options: ServicesOptions): void {
  server.addService(HealthService, createHealthService(options.checker));
  server.addService(DebugService, createDebugService({ ...options, startedAt: options.clock() }));
  server.addService(LoggerService, createLoggerHandlers(logControlOf(options.log)));
}
