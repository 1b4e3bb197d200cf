// From a claim to mutual TLS by way of Crossplane, and back to nothing: the real API server with its controllers, the operator, the workflows on a real Temporal
// server, agents that attest, workloads that speak. Crossplane's core and providers are STAND-INS that call the real function and make in the lab what the clouds
// would be asked for (support/crossplane/). Killing is claims.test.ts's.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findMachineRuns } from '../../workers/up/summary.ts';
import { openStateDirectory } from '../../workers/up/state-directory.ts';
import { inWorld } from '../../workers/up/world.ts';
import type { World } from '../../workers/up/world.ts';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { installKinds, startCrossplane } from './support/crossplane/crossplane.ts';
import type { CrossplaneOptions } from './support/crossplane/crossplane.ts';
import { startControllers } from './support/kubernetes-controllers.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually, output } from './support/processes.ts';
import { root } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 6 * 60_000;
const timeout = patienceMs + 60_000;
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
  [kubernetes, temporal] = await Promise.all([startKubernetes(stage), startTestTemporal()]);
  stage.add(kubernetes);
  stage.add(await startControllers(kubernetes, stage));
  const { administrator } = kubernetes;
  const kinds = await installKinds(kubernetes);
  await kubectl('create', 'namespace', namespace);
  const password = 'of-the-test';
  await administrator.call('POST', `/api/v1/namespaces/${namespace}/secrets`, {
    metadata: { name: 'datastore' },
    stringData: { password },
  });
  const postgres = await startPostgres();
  stage.add({ stop: () => postgres.remove() });
  const environment = {
    DATABASE_URL: postgres.url,
    TEMPORAL_ADDRESS: temporal.environment.address,
    ESPALIER_CROSSPLANE_NAMESPACE: namespace,
    ESPALIER_CROSSPLANE_PASSWORD_SECRET: 'datastore/password',
    ESPALIER_CROSSPLANE_SSLMODE: 'disable',
    ESPALIER_KUBECONFIG: administrator.kubeconfig,
  };
  Object.assign(process.env, environment);
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
  for (const name of Object.keys(environment)) Reflect.deleteProperty(process.env, name);
  const lab = JSON.parse(readFileSync(state.path('lab', 'lab.json'), 'utf8')) as CrossplaneOptions['lab'];
  const database = { adminUrl: postgres.url, password };
  stage.add(await startCrossplane({ directory: stage.directory, kubernetes, namespace, lab, database }, kinds));
  operator = spawn(
    process.execPath,
    [
      join(root, 'workers/cli.ts'),
      'operator',
      '--kubeconfig',
      administrator.kubeconfig,
      '--lease-namespace',
      namespace,
    ],
    {
      env: { TEMPORAL_ADDRESS: temporal.environment.address, PATH: process.env['PATH'] },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
});
afterAll(async () => {
  operator.kill('SIGTERM');
  over.abort();
  await living;
  await temporal.close();
  await stage.strike();
});

const stateIs = (wanted: string): Promise<void> =>
  eventually(
    `the claim is ${wanted}`,
    async () => {
      expect(await kubectl('get', 'sptd', 'example', '-o', 'jsonpath={.status.espalier.state}')).toBe(wanted);
    },
    patienceMs,
  );

async function composed(): Promise<string[]> {
  const kinds = 'spirenetworks,spiredatastores,spireidentities,spiremachines';
  return (await kubectl('get', kinds, '-o', 'name')).split('\n').filter((line) => line !== '');
}

it(
  'a claim is made true by Crossplane and the workflows together, until its workloads speak in mutual TLS',
  { timeout },
  async () => {
    const claim = {
      apiVersion: 'espalier.io/v1alpha1',
      kind: 'SpireTrustDomain',
      metadata: { name: 'example', namespace },
      // Crossplane makes the infrastructure where nothing else is said.
      spec: {
        ...spec,
        gcp: {
          project: 'espalier-lab',
          image: 'global/images/espalier',
          passwordSecretRef: { name: 'datastore', key: 'password' },
        },
        aws: { account: '123456789012', image: 'ami' },
      },
    };
    const file = join(stage.directory, 'claim.json');
    writeFileSync(file, JSON.stringify(claim));
    const began = Date.now();
    await kubectl('apply', '-f', file);
    await stateIs('UpToDate');
    process.stderr.write(`claims: it stood after ${Math.round((Date.now() - began) / 1000)} s\n`);
    const handle = temporal.environment.client.workflow.getHandle('bootstrapTrustDomain/example.org');
    const report = (await handle.result()) as TrustDomainReport;
    const [a, b] = ['gcp/demo/workload-a', 'aws/demo/workload-b'].map((path) => `spiffe://example.org/prod/${path}`);
    expect(report.handshakes.map(({ from, to }) => [from, to])).toEqual([
      [a, b],
      [b, a],
    ]);
    const names = await composed();
    const count = (kind: string): number => names.filter((name) => name.startsWith(`${kind}.`)).length;
    expect([count('spirenetwork'), count('spiredatastore'), count('spiremachine')]).toEqual([2, 3, 7]);
    await eventually('the claim is ready, by Crossplane', async () => {
      expect(await kubectl('wait', 'sptd/example', '--for=condition=Ready', '--timeout=1s')).toContain('condition met');
    });
  },
);

it('the claim is deleted, and nothing is left in Kubernetes and in the clouds', { timeout }, async () => {
  await kubectl(
    'patch',
    'sptd',
    'example',
    '--type=merge',
    '-p',
    JSON.stringify({ spec: { deletionProtection: false } }),
  );
  await kubectl('delete', 'sptd', 'example', '--wait=false');
  await eventually(
    'everything is gone',
    async () => {
      expect(await kubectl('get', 'sptd', '-o', 'name')).toBe('');
      expect(await composed()).toEqual([]);
    },
    patienceMs,
  );
  expect((await findMachineRuns(world.lab)).size).toBe(0);
  const handle = temporal.environment.client.workflow.getHandle('tearDownTrustDomain/example.org');
  expect(await handle.result()).toEqual({ trustDomain: 'example.org', left: [] });
});
