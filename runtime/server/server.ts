// Puts a whole server together and starts it, in the order in which each part needs the one before: store, keys, CA, services, listeners.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../log.ts';
import type { RpcServer } from '../rpc/server.ts';
import { parseTrustedNetworks } from '../rpc/proxy-protocol.ts';
import { createRpcServer } from '../rpc/server.ts';
import { clientVerifier } from '../rpc/verify-peer.ts';
import { openMetrics } from '../telemetry/open-metrics.ts';
import { listenForPrometheus } from '../telemetry/prometheus.ts';
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
import { createAuthority } from './ca/create-authority.ts';
import type { FaultHook } from './ca/fault-points.ts';
import { createClientVerifier } from './client-verifier.ts';
import { loadPluginData } from './config/load-config.ts';
import type { ServerConfig } from './config/server-config.ts';
import { startFederation } from './federation/federation.ts';
import type { Federation } from './federation/federation.ts';
import { followFederatedBundles } from './fleet/federated-bundles.ts';
import type { FederatedRevisions } from './fleet/federated-bundles.ts';
import { createHoldings } from './fleet/holdings.ts';
import type { AuthorityNotes } from './fleet/note-authorities.ts';
import { startNotingAuthorities } from './fleet/note-authorities.ts';
import { startReportingUpstream } from './fleet/report-upstream.ts';
import { createReportBuffer } from './fleet/report-buffer.ts';
import { createWatchers } from './fleet/watchers.ts';
import { createHealthChecker } from './health/health-checker.ts';
import { listenForHealth } from './health/health-listener.ts';
import { openKeyManager } from './plugins.ts';
import { listenForProfiling } from './profiling.ts';
import { createReloadableAttestors } from './reconfigure.ts';
import { startPruning } from './prune.ts';
import { openAuthorizedEntries } from './store/authorized-entries.ts';
import type { AuthorizedEntries } from './store/authorized-entries.ts';
import { openPostgresStore } from './store/postgres-store.ts';
import { followRecentAgents } from './store/recent-agents.ts';
import type { Store } from './store/store.ts';
import { measureAuthority } from './telemetry/measured-authority.ts';
import { measureKeys, measureLimiter, measureUpstream } from './telemetry/measured-parts.ts';
import { measureStore } from './telemetry/measured-store.ts';
import { openUpstreamAuthority } from './upstream-plugins.ts';
import { version } from './version.ts';

export interface RunningServer {
  /** Of the TLS listener. */
  readonly address: { readonly host: string; readonly port: number };
  /** Where the bundle endpoint listens, if it is configured. */
  readonly bundleEndpoint?: { readonly host: string; readonly port: number };
  /** Lets running calls end, then closes everything. */
  close(): Promise<void>;
}

export interface ServerSurroundings {
  readonly log: Logger;
  readonly clock: () => number;
  /** Gives up starting: an upstream may let us wait for minutes. */
  readonly signal: AbortSignal;
  /** For tests that end the process between two steps of the CA. */
  readonly faultPoint?: FaultHook;
  /** Calls back whenever the operator wants plugins to read their files again. Returns the way to stop. */
  readonly onReconfigure?: (act: () => void) => Stop;
}

/** Told to reconnect on TCP, so that a client that is gone from the bundle does not stay. */
const maxConnectionAgeMs = 3 * 60_000;
/** As often as SPIRE asks its parts, though nobody probes: what fails is in the log. */
const healthCheckEveryMs = 60_000;
const socketMode = 0o770;
const socketDirectoryMode = 0o750;

type Stop = () => unknown;

/** Whatever was opened before a failure is closed again. */
export async function startServer(config: ServerConfig, around: ServerSurroundings): Promise<RunningServer> {
  const stops: Stop[] = [];
  /** One part that fails to close leaves none of the others open. */
  const close = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const stop of stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'server did not close cleanly');
  };
  try {
    return { ...(await start(config, around, (stop) => stops.push(stop))), close };
  } catch (error) {
    await close().catch((cause: unknown) => around.log.warn({ err: cause }, 'Closing after a failed start'));
    throw error;
  }
}

async function start(
  config: ServerConfig,
  around: ServerSurroundings,
  onStop: (stop: Stop) => void,
): Promise<Omit<RunningServer, 'close'>> {
  const { log, clock, signal } = around;
  const { trustDomain } = config;
  const metrics = openMetrics(config.telemetry, { name: 'spire_server', version, trustDomain });
  const parts: { authority?: CertificateAuthority; store?: Store; serving: boolean } = { serving: false };
  const notYet = (what: string) => Promise.reject(new Error(what));
  const healthLog = log.child({ subsystem_name: 'health' });
  const checker = createHealthChecker(
    [
      {
        name: 'catalog.datastore',
        fault: 'list_bundle_err',
        check: () => parts.store?.ping() ?? notYet('datastore is not open yet'),
      },
      {
        name: 'server',
        fault: 'get_bundle_err',
        check: () => (parts.serving ? Promise.resolve() : notYet('unable to fetch bundle: not serving yet')),
      },
      {
        name: 'server.ca',
        fault: 'sign_x509_svid_err',
        check: () => parts.authority?.checkSigning() ?? notYet('X509 CA is not available for signing'),
      },
      {
        name: 'server.ca.rotator',
        fault: 'rotation_err',
        check: () => parts.authority?.checkRotation() ?? Promise.resolve(),
      },
    ],
    { clock, log: healthLog },
  );
  const checking = setInterval(() => void checker.check(), healthCheckEveryMs).unref();
  onStop(() => clearInterval(checking));
  if (config.health !== undefined) {
    const listener = await listenForHealth({ ...config.health, checker, log: healthLog });
    onStop(() => void listener.close());
  }

  const rootsNow = () => (parts.authority?.bundle().x509Authorities ?? []).map(({ asn1 }) => asn1);
  if (config.telemetry.prometheus !== undefined) {
    const prometheus = await listenForPrometheus(config.telemetry.prometheus, {
      registry: metrics,
      credentials() {
        if (parts.authority === undefined) throw new Error('the server has no X509-SVID yet');
        return parts.authority.serverCredentials();
      },
      verifyClient: clientVerifier({ roots: rootsNow, trustDomain, clock }),
      log: log.child({ subsystem_name: 'telemetry' }),
    });
    onStop(() => prometheus.close());
  }

  await mkdir(config.dataDir, { recursive: true, mode: 0o755 });
  if (config.profilingPort !== undefined) {
    const profiling = await listenForProfiling({
      port: config.profilingPort,
      log: log.child({ subsystem_name: 'profiling' }),
    });
    onStop(() => profiling.close());
  }
  const { connectionString, readOnlyConnectionString, disableMigration, ...limits } = config.plugins.dataStore;
  const database = await openPostgresStore({
    connectionString,
    ...(readOnlyConnectionString === undefined ? {} : { readOnlyConnectionString }),
    disableMigration,
    limits,
    ...config.changes,
    log: log.child({ subsystem_name: 'store' }),
    clock,
  });
  const store = measureStore(database, metrics);
  onStop(() => store.close());
  parts.store = store;
  const { upstream } = await openUpstreamAuthority(config, around);
  const plainAuthority = await createAuthority({
    trustDomain,
    config: config.authority,
    store,
    keys: measureKeys(await openKeyManager(config.plugins.keyManager), metrics),
    ...(upstream === undefined ? {} : { upstream: measureUpstream(upstream, metrics) }),
    log: log.child({ subsystem_name: 'ca_manager' }),
    clock,
    signal,
    faultPoint: around.faultPoint,
    metrics,
  });
  const authority = measureAuthority(plainAuthority, { metrics, trustDomain: trustDomain.name, clock });
  onStop(() => authority.close());
  parts.authority = authority;
  const cache = await openAuthorizedEntries({
    store,
    log: log.child({ subsystem_name: 'entry_cache' }),
    clock,
    metrics,
  });
  onStop(() => cache.close());
  const notes = await startNotingAuthorities({ store, authority, clock, log: log.child({ subsystem_name: 'fleet' }) });
  onStop(() => notes.close());
  const reporting = {
    upstream,
    authority,
    dataDir: config.dataDir,
    clock,
    log: log.child({ subsystem_name: 'fleet' }),
  };
  onStop(await startReportingUpstream(reporting));
  const federated = await followFederatedBundles({ store, trustDomain, log: log.child({ subsystem_name: 'fleet' }) });
  onStop(() => federated.close());
  onStop(startPruning({ store, pruneAgents: config.pruneAgents, clock, log, metrics }));

  const federation = await startFederation({
    trustDomain,
    config: config.federation,
    store,
    authority,
    clock,
    log,
    metrics,
  });
  onStop(() => federation.close());

  const address = await serve(
    config,
    around,
    { store, authority, cache, federated, federation, notes, checker, metrics },
    onStop,
  );
  parts.serving = true;
  const { bundleEndpoint } = federation;
  return { address, ...(bundleEndpoint === undefined ? {} : { bundleEndpoint }) };
}

interface Parts extends Pick<ServicesOptions, 'checker'> {
  readonly store: Store;
  readonly authority: CertificateAuthority;
  readonly cache: AuthorizedEntries;
  readonly federated: FederatedRevisions;
  readonly notes: AuthorityNotes;
  readonly federation: Federation;
  readonly metrics: Metrics;
}

/** One set of services behind two listeners: the private socket, and TLS. */
async function serve(
  config: ServerConfig,
  { log: rootLog, clock, onReconfigure }: ServerSurroundings,
  { store, authority, cache, federated, federation, notes, checker, metrics }: Parts,
  onStop: (stop: Stop) => void,
): Promise<RunningServer['address']> {
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
    holdings: createHoldings({ store, reports, notes, authority, agentTtlMs, clock }),
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
