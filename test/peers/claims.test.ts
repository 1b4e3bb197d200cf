// From a claim to mutual TLS and back to nothing, in one story: `kubectl apply` at the real API server, the operator, the workflows on a real Temporal server, the
// workers and the lab as `npm start` runs them, agents that attest, workloads that speak; then `kubectl delete`. On the way operator and workers are killed at
// random; CLAIMS_SEED repeats a run. The claim's infrastructure is the lab's, made by the workflows: no Crossplane runs here.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findMachineRuns } from '../../workers/up/summary.ts';
import { openStateDirectory } from '../../workers/up/state-directory.ts';
import { inWorld } from '../../workers/up/world.ts';
import type { World } from '../../workers/up/world.ts';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { createChance } from '../endurance/random.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { installDefinitions } from './support/claims.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually, output } from './support/processes.ts';
import { root } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 12 * 60_000;
const timeout = patienceMs + 60_000;
const seed = Number(process.env['CLAIMS_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const chance = createChance(seed, 'claims');
const namespace = 'trust';
const stage = createStage();
const over = new AbortController();
let kubernetes: Kubernetes;
let temporal: TestTemporal;
let operator: ChildProcess;
let world: World;
let living: Promise<void>;

const kubectl = (...args: readonly string[]): Promise<string> =>
  output('kubectl', ['--kubeconfig', kubernetes.administrator.kubeconfig, '-n', namespace, ...args]);

beforeAll(async () => {
  process.stderr.write(`claims: CLAIMS_SEED=${seed}\n`);
  [kubernetes, temporal] = await Promise.all([startKubernetes(stage), startTestTemporal()]);
  stage.add(kubernetes);
  await kubectl('create', 'namespace', namespace);
  await installDefinitions(kubernetes);
  process.env['TEMPORAL_ADDRESS'] = temporal.environment.address;
  const state = openStateDirectory(join(stage.directory, 'world'));
  world = await new Promise<World>((resolve, reject) => {
    const upstream = { cloud: 'gcp', region: 'us-central1', servers: 1 } as const;
    const say = (line: string): void => void process.stderr.write(`claims: ${line}\n`);
    living = inWorld({ root, state, spec: { infrastructure: 'lab', upstream }, say }, async (found) => {
      resolve(found);
      await once(over.signal, 'abort');
    });
    living.catch(reject);
  });
  operator = startOperator();
});
afterAll(async () => {
  await end(operator);
  over.abort();
  await living;
  delete process.env['TEMPORAL_ADDRESS'];
  await temporal.close();
  await stage.strike();
});

function startOperator(): ChildProcess {
  const args = ['operator', '--kubeconfig', kubernetes.administrator.kubeconfig, '--lease-namespace', namespace];
  return spawn(process.execPath, [join(root, 'workers/cli.ts'), ...args], {
    env: { TEMPORAL_ADDRESS: temporal.environment.address, PATH: process.env['PATH'] },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Of this test's own world: the path of the program says whose it is. */
function workerPids(): number[] {
  const programs = join(stage.directory, 'world/worker/bin/');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandOf(pid).startsWith(programs))
    .map(Number);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

/** Kills operator or a worker, again and again, until what is waited for is there. */
async function killingMeanwhile<T>(waiting: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const kills: string[] = [];
  const killing = (async () => {
    const isOver = (): boolean => settled.signal.aborted;
    for (;;) {
      await sleep(10_000 + chance.below(30_000), undefined, { signal: settled.signal }).catch(() => undefined);
      if (isOver()) return;
      const workers = workerPids();
      const worker = workers[Math.floor(chance.below(workers.length))];
      if (chance.below(2) < 1 || worker === undefined) {
        await end(operator);
        operator = startOperator();
        kills.push('operator');
        continue;
      }
      kills.push(commandOf(String(worker)).split('\0')[0]!.split('-').at(-1)!);
      process.kill(worker, 'SIGKILL');
    }
  })();
  try {
    return await waiting;
  } finally {
    settled.abort();
    await killing;
    process.stderr.write(`claims: killed on the way: ${kills.join(', ')}\n`);
  }
}

function untilState(wanted: string): Promise<void> {
  return eventually(
    `the claim is ${wanted}`,
    async () => {
      expect(await kubectl('get', 'sptd', 'example', '-o', 'jsonpath={.status.espalier.state}')).toBe(wanted);
    },
    patienceMs,
  );
}

const claim = {
  apiVersion: 'espalier.io/v1alpha1',
  kind: 'SpireTrustDomain',
  metadata: { name: 'example', namespace },
  spec: {
    ...spec,
    segments: spec.segments.map((segment) => ({ ...segment, nodes: 1 })),
    infrastructure: 'lab',
    gcp: { project: 'p', image: 'i', passwordSecretRef: { name: 's', key: 'k' } },
    aws: { account: '123456789012', image: 'ami' },
  },
};

it(
  'a claim becomes a trust domain whose workloads speak in mutual TLS, whoever is killed on the way',
  { timeout },
  async () => {
    const file = join(stage.directory, 'claim.json');
    writeFileSync(file, JSON.stringify(claim));
    const began = Date.now();
    await kubectl('apply', '-f', file);
    await killingMeanwhile(untilState('UpToDate'));
    process.stderr.write(`claims: it stood after ${Math.round((Date.now() - began) / 1000)} s\n`);

    const handle = temporal.environment.client.workflow.getHandle('bootstrapTrustDomain/example.org');
    const report = (await handle.result()) as TrustDomainReport;
    const [a, b] = ['gcp/demo/workload-a', 'aws/demo/workload-b'].map((path) => `spiffe://example.org/prod/${path}`);
    expect(report.handshakes.map(({ from, to }) => [from, to])).toEqual([
      [a, b],
      [b, a],
    ]);
    expect(report.agents.map(({ segment }) => segment).toSorted()).toEqual(['aws', 'gcp']);
    expect(report.refusals.length).toBe(2);
    expect((await findMachineRuns(world.lab)).size).toBe(5);

    expect(await kubectl('get', 'sptd')).toMatch(/example +.*example\.org +UpToDate/);
    const described = await kubectl('describe', 'sptd', 'example');
    for (const said of ['Accepted', 'Growing', 'Standing', 'UpToDate'])
      expect(described).toMatch(new RegExp(`^ +Normal +${said} .*espalier-operator`, 'm'));
  },
);

it('the claim is deleted: not by a slip, and then nothing is left', { timeout }, async () => {
  await kubectl('delete', 'sptd', 'example', '--wait=false');
  await untilState('DeletionProtected');
  expect((await findMachineRuns(world.lab)).size).toBe(5);

  const unprotected = JSON.stringify({ spec: { deletionProtection: false } });
  await kubectl('patch', 'sptd', 'example', '--type=merge', '-p', unprotected);
  await killingMeanwhile(
    eventually(
      'the claim is gone',
      async () => {
        expect(await kubectl('get', 'sptd', '-o', 'name')).toBe('');
      },
      patienceMs,
    ),
  );
  expect((await findMachineRuns(world.lab)).size).toBe(0);
  const handle = temporal.environment.client.workflow.getHandle('tearDownTrustDomain/example.org');
  expect(await handle.result()).toEqual({ trustDomain: 'example.org', left: [] });
});
