// The server's two doors: one set of services behind the private socket and behind TLS, with who may call what, the limits and the audit log in front.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../log.ts';
import { parseTrustedNetworks } from '../rpc/proxy-protocol.ts';
import { createRpcServer } from '../rpc/server.ts';
import type { RpcServer } from '../rpc/server.ts';
import type { Metrics } from '../telemetry/registry.ts';
import { createRpcObserver } from '../telemetry/rpc-observer.ts';
import { createAgentAuthorizer } from './api/agent-authorizer.ts';
import { createAuditLog } from './api/audit-log.ts';
import { createAuthorizer } from './api/authorization.ts';
import { createRateLimiter } from './api/rate-limit.ts';
import type { ServicesOptions } from './api/services.ts';
import { addLocalServices, addServices } from './api/services.ts';
import { createNodeAttestation } from './attestation.ts';
import type { CertificateAuthority } from './ca/authority.ts';
import { createClientVerifier } from './client-verifier.ts';
import { loadPluginData } from './config/load-config.ts';
import type { ServerConfig } from './config/server-config.ts';
import type { Federation } from './federation/federation.ts';
import type { FederatedRevisions } from './fleet/federated-bundles.ts';
import { createHoldings } from './fleet/holdings.ts';
import { startMeasuringHolders } from './fleet/measure-holders.ts';
import type { AuthorityNotes } from './fleet/note-authorities.ts';
import { createReportBuffer } from './fleet/report-buffer.ts';
import { createWatchers } from './fleet/watchers.ts';
import { createReloadableAttestors } from './reconfigure.ts';
import type { AuthorizedEntries } from './store/authorized-entries.ts';
import { followRecentAgents } from './store/recent-agents.ts';
import type { Store } from './store/store.ts';
import { measureLimiter } from './telemetry/measured-parts.ts';

export type Stop = () => unknown;

interface Surroundings {
  readonly log: Logger;
  readonly clock: () => number;
  readonly onReconfigure?: (act: () => void) => Stop;
}

/** Told to reconnect on TCP, so that a client that is gone from the bundle does not stay. */
const maxConnectionAgeMs = 3 * 60_000;
const socketMode = 0o770;
const socketDirectoryMode = 0o750;

/** What the services stand on. */
export interface ServerParts extends Pick<ServicesOptions, 'checker'> {
  readonly store: Store;
  readonly authority: CertificateAuthority;
  readonly cache: AuthorizedEntries;
  readonly federated: FederatedRevisions;
  readonly notes: AuthorityNotes;
  readonly federation: Federation;
  readonly metrics: Metrics;
}

/** One set of services behind two listeners: the private socket, and TLS. */
export async function serve(
  config: ServerConfig,
  { log: rootLog, clock, onReconfigure }: Surroundings,
  { store, authority, cache, federated, federation, notes, checker, metrics }: ServerParts,
  onStop: (stop: Stop) => void,
): Promise<{ readonly host: string; readonly port: number }> {
  const { trustDomain } = config;
  const log = rootLog.child({ subsystem_name: 'endpoints' });
  const roots = () => authority.bundle().x509Authorities.map(({ asn1 }) => asn1);
  const { agentStalenessMs: stalenessMs } = config;
  const recent = stalenessMs === 0 ? undefined : followRecentAgents({ store, stalenessMs, clock });
  onStop(() => recent?.close());
  const authorizeAgent = createAgentAuthorizer({
    agents: recent ?? store,
    lastKnown: (id) => cache.agent(id),
    clock,
    log,
  });
  const audit = config.auditLog ? createAuditLog(log) : undefined;
  const authorizer = createAuthorizer({
    adminIds: config.adminIds,
    rightsOf: async (id) => ({ admin: cache.isAdmin(String(id)), downstream: cache.isDownstream(String(id)) }),
    authorizeAgent,
    ...(audit === undefined ? {} : { audit }),
  });
  const { attestors, reconfigure } = createReloadableAttestors({
    config,
    load: loadPluginData,
    log: rootLog,
    clock,
    x509Authorities: () => Promise.resolve(roots()),
  });
  if (onReconfigure !== undefined) onStop(onReconfigure(reconfigure));
  const watchers = createWatchers({ cache, authority, federated, confirmAgent: authorizeAgent, clock });
  const reports = createReportBuffer({ store, log: rootLog.child({ subsystem_name: 'fleet' }) });
  onStop(() => reports.close());
  const agentTtlMs = config.authority.agentTtl ?? config.authority.x509SvidTtl;
  const holdings = createHoldings({ store, reports, notes, authority, agentTtlMs, clock });
  if (config.telemetry.prometheus !== undefined)
    onStop(startMeasuringHolders({ holdings, metrics, log: rootLog.child({ subsystem_name: 'fleet' }) }));
  const services: ServicesOptions = {
    trustDomain,
    store,
    cache,
    authority,
    federation,
    attest: createNodeAttestation({ trustDomain, attestors, joinTokens: store, clock }),
    limiter: measureLimiter(createRateLimiter({ ...config.rateLimit, clock }), metrics),
    callerOf: authorizer.callerOf,
    checker,
    watchers,
    reports,
    holdings,
    disableJwtSvids: config.authority.disableJwtSvids ?? false,
    clock,
    log,
  };

  const observe = [createRpcObserver(metrics), ...(audit === undefined ? [] : [audit.observe])];
  const open = (options: { maxConnectionAgeMs?: number }): RpcServer => {
    const server = createRpcServer({ log, intercept: authorizer.intercept, observe, ...options });
    onStop(() => server.close());
    addServices(server, services);
    return server;
  };
  const local = open({});
  addLocalServices(local, services);
  await mkdir(dirname(config.socketPath), { recursive: true, mode: socketDirectoryMode });
  await local.listenUnix(config.socketPath, { mode: socketMode });
  log.info({ address: config.socketPath, network: 'unix' }, 'Starting Server APIs');

  const clients = await createClientVerifier({ trustDomain, roots, adminIds: config.adminIds, store, log, clock });
  onStop(() => clients.close());
  const { address: host, port } = await open({ maxConnectionAgeMs }).listenTls({
    host: config.bindAddress,
    port: config.bindPort,
    credentials: () => authority.serverCredentials(),
    verifyPeer: clients.verify,
    ...(config.trustedProxies.length === 0 ? {} : { trustedProxies: parseTrustedNetworks(config.trustedProxies) }),
  });
  log.info({ address: `${host}:${port}`, network: 'tcp' }, 'Starting Server APIs');
  onStop(() => watchers.close()); // before the listeners, which would wait for the streams
  return { host, port };
}
