// `espalier registration`: keeps the server's entries as Kubernetes' objects ask for them, until it is stopped. Of several replicas, the one that holds the
// Lease acts; the others keep watching, so that they can go on at once.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createKubernetesConnection } from '../../activities/clients/kubernetes/connection.ts';
import { createKubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import type { KubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import { leadInTurn } from '../../activities/clients/kubernetes/leadership.ts';
import type { WatchLog } from '../../activities/clients/kubernetes/watch-objects.ts';
import { createConfigMapLedger, createRegistrationCluster } from '../../activities/clients/registration-cluster.ts';
import { createRegistrationServer, registrationChannel } from '../../activities/clients/registration-server.ts';
import { createOwnership } from '../../activities/registration/entries/ownership.ts';
import type { RelationshipRecord } from '../../activities/registration/federation/plan-relationships.ts';
import { createLoop } from '../../activities/registration/reconcile/loop.ts';
import type {
  ClusterSource,
  RegistrationServer,
  RelationshipLedger,
  Say,
} from '../../activities/registration/reconcile/ports.ts';
import { createReconciler } from '../../activities/registration/reconcile/reconciler.ts';
import type { Reconciler, Round } from '../../activities/registration/reconcile/reconciler.ts';
import { createObjectSource } from '../../activities/registration/sources/object-source.ts';
import { createResourceSource } from '../../activities/registration/sources/resource-source.ts';
import type { ClusterConfig, RegistrationConfig } from './config.ts';
import { openHealth } from './health.ts';

export interface RegistrationOptions {
  readonly config: RegistrationConfig;
  /** Clusters whose loss of entries is accepted, once. */
  readonly acceptLoss: readonly string[];
  readonly say: Say;
  readonly onRound: (round: Round) => void;
  readonly signal: AbortSignal;
}

export async function runRegistration(options: RegistrationOptions): Promise<void> {
  const { config, say, onRound, signal } = options;
  const channel = await registrationChannel({ ...config, signal });
  const server = createRegistrationServer(channel.connect, Date.now);
  const health = config.health === undefined ? undefined : await openHealth(config.health);
  const loop = createLoop({
    idleMs: config.relistInterval,
    clock: Date.now,
    say,
    onRound(round) {
      health?.seen(round);
      onRound(round);
    },
    onFailure: (reason) => health?.failed(reason),
  });
  try {
    const clusters = config.clusters.map((cluster) => sourceOf(cluster, options, () => loop.changed()));
    // What the one before has done in its turn is not known here: each turn begins with a reconciler that knows nothing.
    let acceptLoss = options.acceptLoss;
    const act = (turn: AbortSignal): Promise<void> => {
      const reconciler = reconcilerOf({ ...options, acceptLoss }, server, clusters);
      acceptLoss = [];
      return loop.run(reconciler, turn);
    };
    await inTurn(options, act, () => health?.waiting());
  } finally {
    await health?.close();
    server.close();
    channel.close();
  }
}

/** Without a home there is one replica; a dry run disturbs nobody. */
async function inTurn(
  { config, say, signal }: RegistrationOptions,
  act: (signal: AbortSignal) => Promise<void>,
  onWaiting: () => void,
): Promise<void> {
  const { home, dryRun } = config;
  if (home === undefined || dryRun) return act(signal);
  const identity = `${hostname()}_${randomUUID()}`;
  onWaiting();
  await leadInTurn({ ...home, api: homeApi(config), identity, log: logOf(say, {}), signal }, async (turn) => {
    say('info', 'the lease is ours', { lease: home.name });
    await act(turn);
    onWaiting();
  });
}

function reconcilerOf(
  { config, acceptLoss, say }: RegistrationOptions,
  server: RegistrationServer,
  clusters: readonly ClusterSource[],
): Reconciler {
  return createReconciler({
    server,
    clusters,
    ledger: ledgerOf(config),
    ownerOf: createOwnership(config),
    entryIdPrefix: config.entryIdPrefix,
    takesOver: config.clusters.some((cluster) => cluster.mode === 'crds' && cluster.takeOver !== undefined),
    guard: { ...config.deletionGuard, accepted: new Set(acceptLoss) },
    dryRun: config.dryRun,
    relistMs: config.relistInterval,
    clock: Date.now,
    createUuid: randomUUID,
    say,
  });
}

function sourceOf(
  cluster: ClusterConfig,
  { config, say, signal }: RegistrationOptions,
  onChange: () => void,
): ClusterSource {
  const connection = createKubernetesConnection({ kubeconfig: cluster.kubeconfig });
  const log = logOf(say, { cluster: cluster.name });
  const api = createRegistrationCluster({ connection, log, silenceMs: config.watchSilence, signal });
  const names = { trustDomain: config.trustDomain, clusterName: cluster.name, clusterDomain: cluster.clusterDomain };
  if (cluster.mode === 'crds') return createResourceSource({ api, onChange, rules: { ...cluster, ...names } });
  const rules = { ...names, namespaces: cluster.namespaces, templates: config.templates };
  return createObjectSource({ api, onChange, rules });
}

/** Without a home, what was made is known for as long as the process lives: a relationship whose resource goes later stays. */
function ledgerOf(config: RegistrationConfig): RelationshipLedger {
  if (config.home !== undefined) return createConfigMapLedger({ ...config.home, api: homeApi(config) });
  let record: RelationshipRecord = {};
  return {
    read: () => Promise.resolve(record),
    write: (next) => {
      record = next;
      return Promise.resolve();
    },
  };
}

function homeApi({ home, clusters }: RegistrationConfig): KubernetesApi {
  const kubeconfig = clusters.find(({ name }) => name === home?.cluster)?.kubeconfig;
  return createKubernetesApi(createKubernetesConnection({ kubeconfig }));
}

/** The client's words in the process's own lines. */
function logOf(say: Say, fixed: Readonly<Record<string, unknown>>): WatchLog {
  return {
    debug: () => undefined,
    warn(fields, message) {
      const { err, ...rest } = fields as { readonly err?: unknown };
      say('warn', message, { ...fixed, ...rest, ...(err instanceof Error ? { reason: err.message } : {}) });
    },
  };
}
