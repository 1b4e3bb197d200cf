// What rotations are disturbed on: three tiers of servers, a workload behind the leaf, an operator's identity for the worker, a Temporal server, and the
// worker in a process of its own.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { Client } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { Topology } from '../../../activities/trust/topology.ts';
import { findTemporal } from '../../../workers/up/temporal.ts';
import { provisionPhase, spiffeTrustDomain } from '../../../workflows/lib/search-attributes.ts';
import { startTiers } from '../tiers/tiers.ts';
import type { TierServer } from '../tiers/tier-server.ts';
import type { Tiers } from '../tiers/tiers.ts';
import type { FromWorker, ToWorker, WorkerOrder } from './worker-process.ts';

export interface RotationStage extends Pick<Tiers, 'servers' | 'agentBundles' | 'close'> {
  readonly client: Client;
  readonly topology: Topology;
  /** Of X.509-SVIDs and JWT-SVIDs. */
  readonly svidTtl: string;
  readonly worker: DisturbedWorker;
}

export interface DisturbedWorker {
  /** Resolves when it has taken the order. */
  arm(order: WorkerOrder): Promise<void>;
  /** Resolves when it has come to the boundary, dead or alive. */
  reached(signal: AbortSignal): Promise<void>;
  goOn(): void;
  /** Starts it again where it has died. */
  ensureRunning(): Promise<void>;
}

const operatorPath = '/prod/onprem/platform/temporal-worker';
const svidTtl = '20s';
const settings = `
  admin_ids = ["spiffe://example.org${operatorPath}"]
  default_x509_svid_ttl = "${svidTtl}"
  default_jwt_svid_ttl = "${svidTtl}"`;
const startPatienceMs = 60_000;

export async function openRotationStage(): Promise<RotationStage> {
  const stops: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop().catch((error: unknown) => console.error(error));
  };
  try {
    const tiers = await startTiers(settings);
    stops.push(tiers.close);
    const { servers, directory } = tiers;
    await tiers.introduce(servers.leaf, 'workload', '/workload');
    const operatorSocket = await tiers.introduce(servers.root, 'operator', operatorPath);
    const environment = await startTemporal();
    stops.push(() => environment.teardown());
    const worker = await startWorker([environment.address, operatorSocket, join(directory, 'reports')]);
    stops.push(worker.stop);
    return { ...tiers, close, client: environment.client, topology: topologyOf(servers), svidTtl, worker };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startTemporal(): Promise<TestWorkflowEnvironment> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const { path } = await findTemporal(join(import.meta.dirname, '../../../.espalier/temporal'));
  return TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'existing-path', path }, searchAttributes: [spiffeTrustDomain, provisionPhase] },
  });
}

function topologyOf({ root, replica, middle, leaf }: Tiers['servers']): Topology {
  const tier = (name: string, servers: readonly TierServer[], parent?: string) => ({
    name,
    servers: servers.map((server) => ({ name: server.name, address: `127.0.0.1:${server.port}` })),
    ...(parent === undefined ? {} : { parent }),
  });
  return {
    trustDomain: 'example.org',
    tiers: [tier('root', [root, replica]), tier('middle', [middle], 'root'), tier('leaf', [leaf], 'middle')],
  };
}

async function startWorker(args: readonly string[]): Promise<DisturbedWorker & { readonly stop: () => Promise<void> }> {
  const begin = async (): Promise<ChildProcess> => {
    const started = fork(new URL('./worker-process.ts', import.meta.url), args);
    await heard(started, 'ready', AbortSignal.timeout(startPatienceMs));
    return started;
  };
  let child = await begin();
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const tell = (what: ToWorker): void => void child.send(what);
  return {
    async arm(order) {
      tell(order);
      await heard(child, 'armed', AbortSignal.timeout(startPatienceMs));
    },
    async reached(signal) {
      if (hasEnded()) return;
      const over = new AbortController();
      const either = AbortSignal.any([signal, over.signal]);
      await Promise.race([once(child, 'exit', { signal: either }), heard(child, 'reached', either)]).finally(() =>
        over.abort(),
      );
    },
    goOn: () => tell('go on'),
    async ensureRunning() {
      if (hasEnded()) child = await begin();
    },
    stop: async () => {
      if (hasEnded()) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function heard(child: ChildProcess, want: FromWorker, signal: AbortSignal): Promise<void> {
  for (;;) {
    const [said] = (await once(child, 'message', { signal })) as [FromWorker];
    if (said === want) return;
  }
}
