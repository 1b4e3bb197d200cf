// What the tests of claims share: an API server that `kubectl` speaks to, a real Temporal server, the workers and the lab as `npm start` runs them, the operator as
// a process, and a hand that kills operator and workers at random; CLAIMS_SEED repeats a run.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { findMachineRuns } from '../../../workers/up/summary.ts';
import { openStateDirectory } from '../../../workers/up/state-directory.ts';
import { inWorld } from '../../../workers/up/world.ts';
import type { World, WorldOptions } from '../../../workers/up/world.ts';
import { createChance } from '../../endurance/random.ts';
import { startTestTemporal } from '../../support/temporal.ts';
import { startKubernetes } from './kubernetes.ts';
import type { Kubernetes } from './kubernetes.ts';
import { eventually, output } from './processes.ts';
import { root } from './programs.ts';
import type { Stage } from './stage.ts';

const namespace = 'trust';

export type StoryWorld = Pick<WorldOptions['spec'], 'clusters'> & {
  readonly environment?: Readonly<Record<string, string>>;
};

export interface ClaimStory {
  readonly kubernetes: Kubernetes;
  /** Where claims are. */
  readonly namespace: string;
  kubectl(...words: readonly string[]): Promise<string>;
  /** The lab's ready file. */
  labFile(): string;
  /** With the environment that the workers are to have over and above Temporal's address. */
  startWorld(options?: StoryWorld): Promise<void>;
  startOperator(): void;
  /** The claim `example` with that specification. */
  claim(spec: object): Promise<void>;
  /** Until the claim's state is that. */
  becomes(state: string): Promise<void>;
  /** The claim may be deleted. */
  unprotect(): Promise<void>;
  /** Kills operator or a worker, again and again, until what is waited for is there. */
  killingMeanwhile<T>(waiting: Promise<T>): Promise<T>;
  result(workflowId: string): Promise<unknown>;
  machines(): Promise<number>;
}

export async function startClaimStory(stage: Stage, patienceMs: number): Promise<ClaimStory> {
  const seed = Number(process.env['CLAIMS_SEED'] ?? Math.floor(Math.random() * 1_000_000));
  const chance = createChance(seed, 'claims');
  const say = (line: string): void => void process.stderr.write(`claims: ${line}\n`);
  say(`CLAIMS_SEED=${seed}`);
  const [kubernetes, temporal] = await Promise.all([startKubernetes(stage), startTestTemporal()]);
  stage.add(kubernetes);
  stage.add({ stop: () => temporal.close() });
  const { address, client } = temporal.environment;
  const kubectl = (...words: readonly string[]): Promise<string> =>
    output('kubectl', ['--kubeconfig', kubernetes.administrator.kubeconfig, '-n', namespace, ...words]);
  await kubectl('create', 'namespace', namespace);
  const state = openStateDirectory(join(stage.directory, 'world'));
  let world: World | undefined;
  let operator: ChildProcess | undefined;

  function startOperator(): void {
    const words = ['operator', '--kubeconfig', kubernetes.administrator.kubeconfig, '--lease-namespace', namespace];
    operator = spawn(process.execPath, [join(root, 'workers/cli.ts'), ...words], {
      env: { TEMPORAL_ADDRESS: address, PATH: process.env['PATH'] },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  async function killOperator(): Promise<void> {
    if (operator === undefined || operator.exitCode !== null || operator.signalCode !== null) return;
    const ended = once(operator, 'exit');
    operator.kill('SIGKILL');
    await ended;
  }
  stage.add({ stop: killOperator });

  /** Of this test's own world: the path of the program says whose it is. */
  function workerPids(): number[] {
    const programs = state.path('worker', 'bin');
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && commandOf(name).startsWith(programs))
      .map(Number);
  }

  async function killOne(): Promise<string> {
    const workers = workerPids();
    const worker = workers[Math.floor(chance.below(workers.length))];
    if (chance.below(2) < 1 || worker === undefined) {
      await killOperator();
      startOperator();
      return 'operator';
    }
    const [program = ''] = commandOf(String(worker)).split('\0');
    process.kill(worker, 'SIGKILL');
    return program.split('-').at(-1) ?? program;
  }

  return {
    kubernetes,
    namespace,
    kubectl,
    labFile: () => readFileSync(state.path('lab', 'lab.json'), 'utf8'),
    async startWorld({ clusters, environment = {} } = {}) {
      const over = new AbortController();
      const given = { TEMPORAL_ADDRESS: address, ...environment };
      Object.assign(process.env, given);
      const upstream = { cloud: 'gcp', region: 'us-central1', servers: 1 } as const;
      const spec = { infrastructure: 'lab', upstream, ...(clusters && { clusters }) } as const;
      let living: Promise<void> | undefined;
      stage.add({
        async stop() {
          over.abort();
          await living;
        },
      });
      try {
        world = await new Promise<World>((resolve, reject) => {
          living = inWorld({ root, state, spec, say }, async (found) => {
            resolve(found);
            await once(over.signal, 'abort');
          });
          living.catch(reject);
        });
      } finally {
        for (const name of Object.keys(given)) Reflect.deleteProperty(process.env, name);
      }
    },
    startOperator,
    async claim(spec) {
      const file = join(stage.directory, 'claim.json');
      const metadata = { name: 'example', namespace };
      writeFileSync(
        file,
        JSON.stringify({ apiVersion: 'espalier.io/v1alpha1', kind: 'SpireTrustDomain', metadata, spec }),
      );
      await kubectl('apply', '-f', file);
    },
    async becomes(wanted) {
      const began = Date.now();
      await eventually(
        `the claim is ${wanted}`,
        async () => {
          expect(await kubectl('get', 'sptd', 'example', '-o', 'jsonpath={.status.espalier.state}')).toBe(wanted);
        },
        patienceMs,
      );
      say(`${wanted} after ${Math.round((Date.now() - began) / 1000)} s`);
    },
    async unprotect() {
      const patch = JSON.stringify({ spec: { deletionProtection: false } });
      await kubectl('patch', 'sptd', 'example', '--type=merge', '-p', patch);
    },
    async killingMeanwhile(waiting) {
      const settled = new AbortController();
      const kills: string[] = [];
      const isOver = (): boolean => settled.signal.aborted;
      const killing = (async () => {
        for (;;) {
          await sleep(10_000 + chance.below(30_000), undefined, { signal: settled.signal }).catch(() => undefined);
          if (isOver()) return;
          kills.push(await killOne());
        }
      })();
      try {
        return await waiting;
      } finally {
        settled.abort();
        await killing;
        say(`killed on the way: ${kills.join(', ')}`);
      }
    },
    result: (workflowId) => client.workflow.getHandle(workflowId).result(),
    async machines() {
      if (world === undefined) throw new Error('the world has not begun');
      return (await findMachineRuns(world.lab)).size;
    },
  };
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}
