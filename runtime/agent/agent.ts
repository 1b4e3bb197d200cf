// One agent from start to end: it gets its identity, fills its cache, and then serves workloads until it is told to stop or cannot go on.
import type { Server } from 'node:http';
import type { Logger } from '../log.ts';
import type { RpcServer } from '../rpc/server.ts';
import { clientVerifier } from '../rpc/verify-peer.ts';
import { listenForPrometheus } from '../telemetry/prometheus.ts';
import type { PrometheusListener } from '../telemetry/prometheus.ts';
import type { DebugOptions } from './admin/debug-service.ts';
import { serveAdmins } from './admin/endpoint.ts';
import { assembleAgent } from './assemble-agent.ts';
import type { AgentParts } from './assemble-agent.ts';
import type { AgentConfig } from './config/agent-config.ts';
import type { FaultHook } from './fault-points.ts';
import { AgentHealth, listenForProbes } from './health/health.ts';
import { composeReport } from './report/compose-report.ts';
import { runReporter } from './report/reporter.ts';
import { patienceMs, retryAtStart } from './retry-at-start.ts';
import { keepWithdrawing } from './cache/keep-withdrawing.ts';
import { createSyncDemand } from './sync/demand.ts';
import { createSyncHints } from './sync/hints.ts';
import { runSyncLoop } from './sync/sync-loop.ts';
import { watchServer } from './sync/watch-server.ts';
import { version } from './version.ts';
import { serveWorkloads } from './workload-api/endpoint.ts';

export interface AgentSurroundings {
  readonly log: Logger;
  readonly clock: () => number;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Called once, when it serves. */
  readonly onReady?: () => void;
  /** Of tests: told of each step of attestation and renewal. */
  readonly faultPoint?: FaultHook;
}

/** A stream to a workload never ends by itself; it is cut, and the workload connects again. */
const goodbyeMs = 200;

/** Until the signal is aborted; rejects with the reason where the agent stops for another one. */
export async function runAgent(config: AgentConfig, surroundings: AgentSurroundings): Promise<void> {
  const { log, clock, random, signal, onReady } = surroundings;
  log.info({ data_dir: config.dataDir, version }, 'Starting agent');
  for (const key of config.ignored) log.warn({ key }, 'Configuration key has no effect in this agent');
  const agent = await assembleAgent(config, surroundings);
  const { metrics, callers, identity, link, cache, jwtSvids, synchronizer } = agent;
  const health = new AgentHealth();
  const demand = createSyncDemand(cache.wanted);
  const hints = createSyncHints({ wanted: cache.wanted, clock });
  const debug = debugOf(agent, clock);
  const watching = new AbortController();
  let probes: Server | undefined;
  let prometheus: PrometheusListener | undefined;
  const servers: RpcServer[] = [];
  try {
    prometheus = await servePrometheus(config, agent, surroundings);
    if (config.health !== undefined) probes = await listenForProbes(config.health, health);
    await meetServer(agent, surroundings);
    const services = () => link.clients().service;
    const parts = { cache, demand, jwtSvids, callers, services, health, clock, log, metrics };
    for (const serve of [serveWorkloads, serveAdmins]) servers.push(...(await serve(config, { ...parts, debug })));
    health.ready = true;
    onReady?.();
    cache.wanted.ring(); // a workload that is there already gets its SVID first, all others theirs after it
    const { changed } = cache;
    // A report that failed while the server was away goes at once when it is back.
    void watchServer({ link, hints, onStanding: () => changed.ring(), random, log }, watching.signal);
    const compose = () => composeReport({ cache, svid: identity.svid(), version, now: clock() });
    void keepWithdrawing({ cache, clock }, watching.signal);
    void runReporter({ compose, link, changed, random, clock, log }, watching.signal);
    const { syncIntervalMs: intervalMs } = config;
    await runSyncLoop({ synchronizer, wanted: cache.wanted, demand, hints, intervalMs, random, clock, log }, signal);
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

/** Until the agent has an identity and knows what the server has for it. */
async function meetServer(
  { bootstrapping, identity, synchronizer, link, cache }: AgentParts,
  { log, clock, random, signal }: AgentSurroundings,
): Promise<void> {
  bootstrapping.checkReattestable();
  const again = { log, clock, random, signal, patienceMs: () => patienceMs(bootstrapping.isAllowed()) };
  const establish = async (): Promise<void> => {
    try {
      await bootstrapping.prepare();
      await identity.establish(signal);
    } catch (error) {
      await bootstrapping.failedAtStart();
      throw error;
    }
  };
  await retryAtStart('Failed to retrieve attestation result', establish, again);
  bootstrapping.checkReattestable();
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
}

async function servePrometheus(
  config: AgentConfig,
  { metrics, identity, trust }: AgentParts,
  { clock, log }: AgentSurroundings,
): Promise<PrometheusListener | undefined> {
  if (config.telemetry.prometheus === undefined) return undefined;
  const roots = () => trust.bundle().x509Authorities.map(({ asn1 }) => asn1);
  return listenForPrometheus(config.telemetry.prometheus, {
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

function debugOf({ identity, trust, cache, jwtSvids }: AgentParts, clock: () => number): DebugOptions {
  return {
    chain: () => identity.svid()?.chain ?? [],
    bundle: () => trust.bundle(),
    x509SvidCount: () => cache.svidCount,
    jwtSvidCount: () => jwtSvids.count(),
    lastSync: () => cache.replacedAt,
    startedAt: clock(),
    clock,
  };
}
