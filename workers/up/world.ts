// Everything that a run needs on this machine, started in order and stopped in reverse: PostgreSQL, Temporal, the runtime's archive, the lab,
// the control plane's agent, and a worker for each task queue.
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import { taskQueues } from '../activities.ts';
import type { ArtifactFile } from '../pack/artifact.ts';
import { serveArtifact } from './artifact-server.ts';
import type { LabIsolation } from './isolation.ts';
import { startLab } from './lab.ts';
import type { RunningLab } from './lab.ts';
import { startPostgres } from './postgres.ts';
import { endStaleProcesses, startProcess } from './processes.ts';
import type { RunningProcess } from './processes.ts';
import type { StateDirectory } from './state-directory.ts';
import { startTemporal } from './temporal.ts';
import type { Temporal } from './temporal.ts';
import { superviseWorkerAgent } from './worker-agent.ts';

export interface World {
  readonly temporal: Temporal;
  readonly lab: RunningLab | undefined;
  /** A message for each process that ended although it should run. */
  ended(): string[];
}

export interface WorldOptions {
  readonly root: string;
  readonly state: StateDirectory;
  readonly spec: Pick<TrustDomainSpec, 'infrastructure' | 'upstream' | 'clusters'>;
  /** Of the lab's instances; absent: as those that are there have it. */
  readonly isolation?: LabIsolation | undefined;
  readonly say: (line: string) => void;
}

type Stop = () => Promise<void> | void;

/** Runs `act` in a world of its own; whatever happens, every process that was started is stopped. */
export async function inWorld<T>(options: WorldOptions, act: (world: World) => Promise<T>): Promise<T> {
  const stops: Stop[] = [];
  try {
    return await act(await startWorld(options, (stop) => stops.push(stop)));
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

async function startWorld(options: WorldOptions, onStop: (stop: Stop) => void): Promise<World> {
  const { root, state, spec, isolation, say } = options;
  const running: RunningProcess[] = [];
  const keep = (started: RunningProcess): void => {
    running.push(started);
    onStop(() => started.stop());
  };
  const stale = await endStaleProcesses(state);
  if (stale > 0) say(`ended ${stale} processes of a run that was killed`);

  const [postgres, temporal, artifact] = await together([
    startPostgres(state, process.env['DATABASE_URL'], keep),
    startTemporal(state, join(root, '.espalier/temporal'), keep),
    packRuntime(root),
  ]);
  say(`PostgreSQL: ${postgres.choice}`);
  say(`Temporal: ${temporal.choice}${temporal.ui === undefined ? '' : `, UI ${temporal.ui}`}`);

  const server = await serveArtifact(artifact, await state.port('artifact'));
  onStop(() => server.close());
  const reach = [postgres.adminUrl, server.url];
  const lab = spec.infrastructure === 'lab' ? await startLab(root, state, keep, { isolation, reach }) : undefined;
  if (lab !== undefined) say(`Clouds: the lab at ${lab.endpoint}`);

  const directory = state.path('worker', 'agent');
  const agent = superviseWorkerAgent(state, directory, [process.execPath, join(root, 'runtime/agent/cli/main.ts')]);
  onStop(() => agent.stop());
  const environment = {
    ...temporal.environment,
    ESPALIER_ARTIFACT_URL: server.url,
    ESPALIER_ARTIFACT_SHA256: artifact.sha256,
    ESPALIER_WORKER_DIRECTORY: directory,
    ESPALIER_WORKLOAD_SOCKET: join(state.run, 'worker/api.sock'),
    ...(lab === undefined ? realCloudEnvironment() : { ESPALIER_LAB_FILE: state.path('lab', 'lab.json') }),
    ...environmentOf(/^ESPALIER_(CROSSPLANE_|KUBECONFIG$)/),
  };
  const queues = taskQueues.filter((queue) => queue !== 'kubernetes' || spec.clusters !== undefined);
  const workers = queues.map((queue) => {
    const admin =
      queue === 'control' || queue === 'kubernetes' ? {} : { ESPALIER_DATABASE_ADMIN_URL: postgres.adminUrl };
    // The one worker that puts it where it belongs, and no other, knows where the authority above the root is.
    const gives = spec.upstream.authority === 'disk' && queue === spec.upstream.cloud;
    const authority = gives ? { ESPALIER_UPSTREAM_AUTHORITY_DIRECTORY: state.path('upstream-authority') } : {};
    return startProcess(state, {
      name: `worker-${queue}`,
      command: [ensureProgram(state, `espalier-worker-${queue}`), join(root, 'workers/worker.ts'), '--queue', queue],
      environment: { ...environment, ...admin, ...authority },
      directory: root,
      restart: true,
    });
  });
  running.push(...workers);
  // Together: each takes seconds to let go of what it does.
  onStop(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
  });
  return {
    temporal,
    lab,
    ended: () =>
      running.flatMap((started) => (started.ended() === undefined ? [] : [`${started.name} ${started.ended() ?? ''}`])),
  };
}

/** All of them settle before one's failure is thrown: nothing is started after everything has been stopped. */
async function together<A, B, C>(promises: readonly [Promise<A>, Promise<B>, Promise<C>]): Promise<[A, B, C]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** In a process of its own: compressing Node keeps a core busy for seconds, and the servers start meanwhile. */
async function packRuntime(root: string): Promise<ArtifactFile> {
  const child = spawn(process.execPath, [join(root, 'workers/pack.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  const [file, digest] = output.split('\n');
  if (code !== 0 || file === undefined || digest === undefined)
    throw new Error(`packing the runtime failed with code ${code ?? 'none'}`);
  return { file, sha256: digest.replace('sha256:', '') };
}

/** A hard link of Node with a name of its own: the path of its program is what attests a worker. */
function ensureProgram(state: StateDirectory, name: string): string {
  const program = state.path('worker', 'bin', name);
  if (existsSync(program) && statSync(program).size === statSync(process.execPath).size) return program;
  mkdirSync(dirname(program), { recursive: true, mode: 0o700 });
  rmSync(program, { force: true });
  try {
    linkSync(process.execPath, program);
  } catch {
    copyFileSync(process.execPath, program); // another file system
  }
  return program;
}

/** Credentials of real clouds come from the environment only where the specification names them. */
function realCloudEnvironment(): Record<string, string> {
  return environmentOf(/^(AWS_|GOOGLE_|GCLOUD_|CLOUDSDK_|ESPALIER_(AWS|GCP)_)/);
}

function environmentOf(wanted: RegExp): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && wanted.test(name) ? [[name, value]] : [],
    ),
  );
}
