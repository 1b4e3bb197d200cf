// Puts a whole server together and starts it, in the order in which each part needs the one before: store, keys, CA, services, listeners.
import { mkdir } from 'node:fs/promises';
import type { Logger } from '../log.ts';
import { clientVerifier } from '../rpc/verify-peer.ts';
import { openMetrics } from '../telemetry/open-metrics.ts';
import { listenForPrometheus } from '../telemetry/prometheus.ts';
import { createAuthority } from './ca/create-authority.ts';
import type { FaultHook } from './ca/fault-points.ts';
import type { ServerConfig } from './config/server-config.ts';
import { serve } from './endpoints.ts';
import type { Stop } from './endpoints.ts';
import { startFederation } from './federation/federation.ts';
import { followFederatedBundles } from './fleet/federated-bundles.ts';
import { startNotingAuthorities } from './fleet/note-authorities.ts';
import { startReportingUpstream } from './fleet/report-upstream.ts';
import { createHealthChecker } from './health/health-checker.ts';
import { partsToCheck } from './health/parts-to-check.ts';
import type { OpenedParts } from './health/parts-to-check.ts';
import { listenForHealth } from './health/health-listener.ts';
import { openKeyManager } from './plugins.ts';
import { listenForProfiling } from './profiling.ts';
import { startPruning } from './prune.ts';
import { startPublishing } from './publish/publishing.ts';
import { createBundlePublishers } from './publisher-plugins.ts';
import { openAuthorizedEntries } from './store/authorized-entries.ts';
import { openPostgresStore } from './store/postgres-store.ts';
import { measureAuthority } from './telemetry/measured-authority.ts';
import { measureKeys, measureUpstream } from './telemetry/measured-parts.ts';
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

/** As often as SPIRE asks its parts, though nobody probes: what fails is in the log. */
const healthCheckEveryMs = 60_000;

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
  const parts: OpenedParts = { serving: false };
  const healthLog = log.child({ subsystem_name: 'health' });
  const checker = createHealthChecker(partsToCheck(parts), { clock, log: healthLog });
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

  const publishLog = log.child({ subsystem_name: 'bundle_publishing' });
  const publishers = createBundlePublishers(config.plugins, publishLog);
  if (publishers.length > 0) onStop(startPublishing({ publishers, authority, log: publishLog }));

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
