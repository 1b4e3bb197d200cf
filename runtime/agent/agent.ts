// One agent from start to end: it gets its identity, fills its cache, and then serves workloads until it is told to stop or cannot go on.
import type { Server } from 'node:http';
import { createAgentAttestor } from '../attest/agent-attestors.ts';
import type { AgentAttestor } from '../attest/attestor.ts';
import type { Logger } from '../log.ts';
import type { RpcServer } from '../rpc/server.ts';
import { clientVerifier } from '../rpc/verify-peer.ts';
import { openMetrics } from '../telemetry/open-metrics.ts';
import { listenForPrometheus } from '../telemetry/prometheus.ts';
import type { PrometheusListener } from '../telemetry/prometheus.ts';
import type { DebugOptions } from './admin/debug-service.ts';
import { serveAdmins } from './admin/endpoint.ts';
import { createJwtSvids } from './cache/jwt-svids.ts';
import { SvidCache } from './cache/svid-cache.ts';
import type { AgentConfig } from './config/agent-config.ts';
import { AgentHealth, listenForProbes } from './health/health.ts';
import { loadBootstrapBundle } from './node/bootstrap-bundle.ts';
import { createIdentity } from './node/identity.ts';
import { openServerLink } from './node/server-link.ts';
import { createTrust } from './node/trust.ts';
import { AgentStopped } from './refusal.ts';
import { composeReport } from './report/compose-report.ts';
import { runReporter } from './report/reporter.ts';
import { retryAtStart } from './retry-at-start.ts';
import type { RotationPolicy } from './rotation.ts';
import { openAgentData } from './state/agent-data.ts';
import { createMemoryKeyStore, openDiskKeyStore } from './state/key-store.ts';
import { createSyncDemand } from './sync/demand.ts';
import { createSyncHints } from './sync/hints.ts';
import { createEntryFetcher } from './sync/fetch-entries.ts';
import { createSvidSigner } from './sync/sign-svids.ts';
import { runSyncLoop } from './sync/sync-loop.ts';
import { Synchronizer } from './sync/synchronizer.ts';
import { watchServer } from './sync/watch-server.ts';
import { addAgentGauges } from './telemetry/agent-gauges.ts';
import { measureAttestor, measureCallers } from './telemetry/measured-attestation.ts';
import {
  measureFetcher,
  measureIdentity,
  measureJwtSvids,
  measureKeys,
  measureSigner,
} from './telemetry/measured-sync.ts';
import { version } from './version.ts';
import { createCallers } from './workload-api/caller.ts';
import { serveWorkloads } from './workload-api/endpoint.ts';
import { createWorkloadAttestor } from './workload-attestors.ts';

export interface AgentSurroundings {
  readonly log: Logger;
  readonly clock: () => number;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Called once, when it serves. */
  readonly onReady?: () => void;
}

/** A stream to a workload never ends by itself; it is cut, and the workload connects again. */
const goodbyeMs = 200;

/** Until the signal is aborted; rejects with the reason where the agent stops for another one. */
export async function runAgent(
  config: AgentConfig,
  { log, clock, random, signal, onReady }: AgentSurroundings,
): Promise<void> {
  log.info({ data_dir: config.dataDir, version }, 'Starting agent');
  for (const key of config.ignored) log.warn({ key }, 'Configuration key has no effect in this agent');
  const attestor = await nodeAttestorOf(config, log);
  const metrics = openMetrics(config.telemetry, { name: 'spire_agent', version, trustDomain: config.trustDomain });
  const attestors = await Promise.all(
    config.workloadAttestors.map(({ name, data }) => createWorkloadAttestor(name, data, log)),
  );
  const callers = measureCallers(
    createCallers({ attestors: attestors.map((one) => measureAttestor(one, metrics)), log }),
    metrics,
  );
  const data = await openAgentData(config.dataDir);
  const keys = measureKeys(
    config.keyStore.kind === 'disk' ? await openDiskKeyStore(config.keyStore.directory) : createMemoryKeyStore(),
    metrics,
  );
  const policy: RotationPolicy = { random, availabilityTargetMs: config.availabilityTargetMs };
  const health = new AgentHealth();
  const stored = data.x509Authorities();
  const trust = createTrust({
    trustDomain: config.trustDomain,
    x509Authorities:
      stored.length > 0 ? stored : await loadBootstrapBundle({ ...config, source: config.bundleSource, clock }),
    insecureBootstrap: config.bundleSource.kind === 'insecure',
    clock,
    onInsecure: () => log.warn('Insecure bootstrap enabled; skipping server certificate verification'),
  });
  const verifyServer = (chain: Uint8Array[]) => trust.verifyServer(chain);
  const plainIdentity = createIdentity({
    data,
    keys,
    trust,
    attestor,
    openAnonymousLink: () => openServerLink({ ...config.server, log, credentials: () => undefined, verifyServer }),
    policy,
    clock,
    log,
    metrics,
  });
  const identity = measureIdentity(plainIdentity, metrics);
  const link = openServerLink({ ...config.server, log, credentials: () => identity.svid()?.credentials, verifyServer });
  const cache = new SvidCache({ maxSize: config.x509SvidCacheMaxSize, bundle: trust.bundle(), clock });
  const svidClient = () => link.clients().svid;
  const jwtSvids = measureJwtSvids(
    createJwtSvids({
      client: svidClient,
      maxSize: config.jwtSvidCacheMaxSize,
      renewalTimeoutMs: config.jwtSvidCacheHitTimeoutMs,
      policy,
      clock,
      log,
    }),
    metrics,
  );
  addAgentGauges({ metrics, cache, identity, clock });
  const demand = createSyncDemand(cache.wanted);
  const hints = createSyncHints({ wanted: cache.wanted, clock });
  const synchronizer = new Synchronizer({
    identity,
    link,
    trust,
    data,
    cache,
    jwtSvids,
    fetcher: measureFetcher(
      createEntryFetcher({
        client: () => link.clients().entry,
        useSync: config.useSyncAuthorizedEntries,
        onMalformed: (id, error) =>
          log.warn({ entry_id: id, err: error }, 'Received malformed entry from SPIRE server'),
      }),
      metrics,
    ),
    signer: measureSigner(createSvidSigner({ client: svidClient, keyType: config.workloadKeyType, policy, log }), {
      metrics,
      cache,
      clock,
    }),
    clock,
    log,
    metrics,
  });

  const watching = new AbortController();
  const debug: DebugOptions = {
    chain: () => identity.svid()?.chain ?? [],
    bundle: () => trust.bundle(),
    x509SvidCount: () => cache.svidCount,
    jwtSvidCount: () => jwtSvids.count(),
    lastSync: () => cache.replacedAt,
    startedAt: clock(),
    clock,
  };
  let probes: Server | undefined;
  let prometheus: PrometheusListener | undefined;
  const servers: RpcServer[] = [];
  try {
    if (config.telemetry.prometheus !== undefined) {
      const roots = () => trust.bundle().x509Authorities.map(({ asn1 }) => asn1);
      prometheus = await listenForPrometheus(config.telemetry.prometheus, {
        registry: metrics,
        credentials() {
          const svid = identity.svid();
          if (svid === undefined) throw new Error('the agent has no X509-SVID yet');
          return svid.credentials;
        },
        verifyClient: clientVerifier({ roots, trustDomain: config.trustDomain, clock }),
        log,
      });
    }
    if (config.health !== undefined) probes = await listenForProbes(config.health, health);
    const again = { log, clock, random, signal };
    await retryAtStart('Failed to retrieve attestation result', () => identity.establish(signal), again);
    await retryAtStart('Synchronize failed', () => synchronizer.fetch(signal), {
      ...again,
      recover: (error) => synchronizer.recover(error, signal),
    });
    await link
      .clients()
      .agent.postStatus({ currentBundleSerial: cache.bundle.sequenceNumber, agentVersion: version }, { signal })
      .catch((error: unknown) => {
        signal.throwIfAborted();
        log.debug({ err: error }, 'Failed to post agent status'); // older servers do not take it
      });
    const services = () => link.clients().service;
    const parts = { cache, demand, jwtSvids, callers, services, health, clock, log, metrics };
    for (const serve of [serveWorkloads, serveAdmins]) servers.push(...(await serve(config, { ...parts, debug })));
    health.ready = true;
    onReady?.();
    cache.wanted.ring(); // a workload that is there already gets its SVID first, all others theirs after it
    void watchServer({ link, hints, random, log }, watching.signal);
    const compose = () => composeReport({ cache, svid: identity.svid(), version, now: clock() });
    void runReporter({ compose, link, changed: cache.changed, random, clock, log }, watching.signal);
    await runSyncLoop(
      {
        synchronizer,
        wanted: cache.wanted,
        demand,
        hints,
        intervalMs: config.syncIntervalMs,
        random,
        clock,
        log,
      },
      signal,
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    health.ready = false;
    watching.abort();
    await Promise.all(servers.map((server) => server.close(goodbyeMs)));
    probes?.close();
    await prometheus?.close();
    link.close();
  }
}

async function nodeAttestorOf(
  { joinToken, nodeAttestor, trustDomain }: AgentConfig,
  log: Logger,
): Promise<AgentAttestor> {
  if (joinToken !== undefined) return createAgentAttestor('join_token', {}, { trustDomain, log, joinToken });
  if (nodeAttestor === undefined) throw new Error('there is neither a node attestor nor a join token');
  if (nodeAttestor.name === 'join_token') return missingJoinToken;
  return createAgentAttestor(nodeAttestor.name, nodeAttestor.data, { trustDomain, log });
}

/** A token serves once: an agent that goes on with its SVID from disk is started without one. */
const missingJoinToken: AgentAttestor = {
  type: 'join_token',
  payload: () =>
    Promise.reject(new AgentStopped('ATTESTATION_REFUSED', 'join token attestation attempted but no token provided')),
  respond: () => Promise.reject(new Error('join_token has no challenge')),
};
