// What an agent is made of, put together: nothing here runs yet, and nothing has been sent.
import type { Logger } from '../log.ts';
import { openMetrics } from '../telemetry/open-metrics.ts';
import type { Registry } from '../telemetry/registry.ts';
import { createJwtSvids } from './cache/jwt-svids.ts';
import type { JwtSvids } from './cache/jwt-svids.ts';
import { SvidCache } from './cache/svid-cache.ts';
import type { AgentConfig } from './config/agent-config.ts';
import type { FaultHook } from './fault-points.ts';
import { loadBootstrapBundle } from './node/bootstrap-bundle.ts';
import { createBootstrapping } from './node/bootstrapping.ts';
import type { Bootstrapping } from './node/bootstrapping.ts';
import { chooseAttestor } from './node/choose-attestor.ts';
import { createIdentity } from './node/identity.ts';
import type { AgentIdentity } from './node/identity.ts';
import { openServerLink } from './node/server-link.ts';
import type { ServerLink } from './node/server-link.ts';
import { createTrust } from './node/trust.ts';
import type { Trust } from './node/trust.ts';
import type { RotationPolicy } from './rotation.ts';
import { openAgentData } from './state/agent-data.ts';
import { createMemoryKeyStore, openDiskKeyStore } from './state/key-store.ts';
import { createEntryFetcher } from './sync/fetch-entries.ts';
import { createSvidSigner } from './sync/sign-svids.ts';
import { Synchronizer } from './sync/synchronizer.ts';
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
import type { Callers } from './workload-api/caller.ts';
import { createWorkloadAttestor } from './workload-attestors.ts';

export interface AgentParts {
  readonly metrics: Registry;
  readonly callers: Callers;
  readonly trust: Trust;
  readonly bootstrapping: Bootstrapping;
  readonly identity: AgentIdentity;
  readonly link: ServerLink;
  readonly cache: SvidCache;
  readonly jwtSvids: JwtSvids;
  readonly synchronizer: Synchronizer;
}

export interface AssembleOptions {
  readonly log: Logger;
  readonly clock: () => number;
  readonly random: () => number;
  readonly faultPoint?: FaultHook;
}

/** Throws a StateError where the files of an earlier run cannot be gone on with. */
export async function assembleAgent(config: AgentConfig, options: AssembleOptions): Promise<AgentParts> {
  const { log, clock, faultPoint } = options;
  const attestor = await chooseAttestor(config, log);
  const metrics = openMetrics(config.telemetry, { name: 'spire_agent', version, trustDomain: config.trustDomain });
  const callers = await assembleCallers(config, metrics, log);
  const policy: RotationPolicy = { random: options.random, availabilityTargetMs: config.availabilityTargetMs };
  const data = await openAgentData(config.dataDir, log, faultPoint);
  const keys = measureKeys(
    config.keyStore.kind === 'disk'
      ? await openDiskKeyStore(config.keyStore.directory, log, faultPoint)
      : createMemoryKeyStore(),
    metrics,
  );
  const trust = createTrust({
    trustDomain: config.trustDomain,
    x509Authorities: data.x509Authorities(),
    insecureBootstrap: config.bundleSource.kind === 'insecure',
    clock,
    onInsecure: () => log.warn('Insecure bootstrap enabled; skipping server certificate verification'),
  });
  const bootstrapping = createBootstrapping({
    data,
    trust,
    ...config.rebootstrap,
    loadBundle: (attempt) => loadBootstrapBundle({ ...config, source: config.bundleSource, attempt }),
    clock,
    log,
    metrics,
  });
  const connection = { ...config.server, log, verifyServer: (chain: Uint8Array[]) => trust.verifyServer(chain) };
  const identity = measureIdentity(
    createIdentity({
      data,
      keys,
      trust,
      attestor,
      openAnonymousLink: () => openServerLink({ ...connection, credentials: () => undefined }),
      policy,
      clock,
      log,
      metrics,
      faultPoint,
    }),
    metrics,
  );
  const link = openServerLink({ ...connection, credentials: () => identity.svid()?.credentials });
  const cache = new SvidCache({ maxSize: config.x509SvidCacheMaxSize, bundle: trust.bundle(), clock });
  const client = () => link.clients().svid;
  const jwtSvids = measureJwtSvids(
    createJwtSvids({
      client,
      maxSize: config.jwtSvidCacheMaxSize,
      renewalTimeoutMs: config.jwtSvidCacheHitTimeoutMs,
      policy,
      clock,
      log,
    }),
    metrics,
  );
  addAgentGauges({ metrics, cache, identity, clock });
  const fetcher = createEntryFetcher({
    client: () => link.clients().entry,
    useSync: config.useSyncAuthorizedEntries,
    onMalformed: (id, error) => log.warn({ entry_id: id, err: error }, 'Received malformed entry from SPIRE server'),
  });
  const signer = createSvidSigner({ client, keyType: config.workloadKeyType, policy, log });
  const synchronizer = new Synchronizer({
    identity,
    link,
    trust,
    bootstrapping,
    data,
    cache,
    jwtSvids,
    fetcher: measureFetcher(fetcher, metrics),
    signer: measureSigner(signer, { metrics, cache, clock }),
    clock,
    log,
    metrics,
  });
  return { metrics, callers, trust, bootstrapping, identity, link, cache, jwtSvids, synchronizer };
}

async function assembleCallers(config: AgentConfig, metrics: Registry, log: Logger): Promise<Callers> {
  const attestors = await Promise.all(
    config.workloadAttestors.map(({ name, data }) => createWorkloadAttestor(name, data, log)),
  );
  return measureCallers(
    createCallers({ attestors: attestors.map((one) => measureAttestor(one, metrics)), log }),
    metrics,
  );
}
