// Claims on the real API server, the operator as a process of its own, and the real workflows on a real Temporal server; the clouds under the workflows are the
// fake world of the tests. Both flavours of the kind are installed as Crossplane installs them; Crossplane itself does not run here.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClaimObject, Condition } from '../../workers/operator/claim.ts';
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { spec } from '../support/specs.ts';
import { openTcpGap } from '../support/tcp-gap.ts';
import type { TcpGap } from '../support/tcp-gap.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { installDefinitions } from './support/claims.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually, freePort, output } from './support/processes.ts';
import { root } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const namespace = 'trust';
const patienceMs = 60_000;
const stage = createStage();
let kubernetes: Kubernetes;
let temporal: TestTemporal;
let gap: TcpGap;
let temporalGap: TcpGap;
let healthPort: number;
/** Of the deletion: put in force when what the finalizer does without it has been seen. */
let protection: string | undefined;
let kubeconfig: string;
const worlds = new Map<string, FakeWorld>();
const operators = new Set<ChildProcess>();

const call = <T = unknown>(
  method: string,
  path: string,
  body?: unknown,
  contentType = 'application/json',
): Promise<T> => kubernetes.administrator.call<T>(method, path, body, { contentType });
const pathOf = (name: string, group = 'espalier.io'): string =>
  `/apis/${group}/v1alpha1/namespaces/${namespace}/spiretrustdomains/${name}`;
const claimed = (name: string, group?: string): Promise<ClaimObject> => call<ClaimObject>('GET', pathOf(name, group));

function apply(name: string, fields: object = {}, group = 'espalier.io'): Promise<unknown> {
  const claim = {
    apiVersion: `${group}/v1alpha1`,
    kind: 'SpireTrustDomain',
    metadata: { name, namespace },
    spec: {
      ...spec,
      trustDomain: `${name}.example.org`,
      infrastructure: 'lab',
      gcp: { project: 'p', image: 'i', passwordSecretRef: { name: 's', key: 'k' } },
      aws: { account: '123456789012', image: 'ami' },
      ...fields,
    },
  };
  const query = 'fieldManager=person&force=true&fieldValidation=Strict';
  return call('PATCH', `${pathOf(name, group)}?${query}`, claim, 'application/apply-patch+yaml');
}

async function applyManifests(manifests: readonly string[]): Promise<void> {
  const file = join(stage.directory, 'manifests.yaml');
  writeFileSync(file, manifests.join('---\n'));
  const credentials = ['--kubeconfig', kubernetes.administrator.kubeconfig];
  await output('kubectl', [...credentials, 'apply', '--server-side', '--validate=strict', '-f', file]);
}

function conditionOf(claim: ClaimObject, type: Condition['type']): string {
  const condition = claim.status?.espalier?.conditions?.find((one) => one.type === type);
  return condition === undefined ? 'nothing' : `${condition.status} ${condition.reason}`;
}

async function until(name: string, type: Condition['type'], wanted: string, group?: string): Promise<ClaimObject> {
  return eventually(
    `${name} is ${type} ${wanted}`,
    async () => {
      const claim = await claimed(name, group);
      expect(conditionOf(claim, type)).toBe(wanted);
      expect(claim.status?.espalier?.observedGeneration).toBe(claim.metadata.generation);
      return claim;
    },
    patienceMs,
  );
}

function gone(name: string, group?: string): Promise<void> {
  return eventually(
    `${name} is gone`,
    async () => {
      await expect(claimed(name, group)).rejects.toThrow('404');
    },
    patienceMs,
  );
}

function startOperator(health = 0): ChildProcess {
  const { namespace: ns = 'default' } = temporal.environment;
  const child = spawn(
    process.execPath,
    [join(root, 'workers/cli.ts'), 'operator', '--kubeconfig', kubeconfig, '--health', `127.0.0.1:${health}`],
    {
      env: { TEMPORAL_ADDRESS: `127.0.0.1:${temporalGap.port}`, TEMPORAL_NAMESPACE: ns, PATH: process.env['PATH'] },
      stdio: ['ignore', process.env['ESPALIER_KEEP'] === undefined ? 'ignore' : 'inherit', 'inherit'],
    },
  );
  operators.add(child);
  return child;
}

async function end(operator: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  operators.delete(operator);
  if (operator.exitCode !== null || operator.signalCode !== null) return;
  const ended = once(operator, 'exit');
  operator.kill(signal);
  await ended;
}

/** One world for each trust domain, as the activities' inputs name it. */
function worldOf(input: unknown): FakeWorld {
  const trustDomain = /"trustDomain":"([^"]+)"/.exec(JSON.stringify(input))?.[1] ?? 'unknown';
  const world = worlds.get(trustDomain) ?? createFakeWorld(trustDomain);
  worlds.set(trustDomain, world);
  return world;
}

type Activities = Readonly<Record<string, (input: unknown) => Promise<unknown>>>;

function spread(of: (world: FakeWorld) => object): Activities {
  const names = Object.keys(of(createFakeWorld()));
  return Object.fromEntries(
    names.map((name) => [name, (input: unknown) => (of(worldOf(input)) as Activities)[name]!(input)]),
  );
}

let working: Promise<void>;
const over = new AbortController();

beforeAll(async () => {
  [kubernetes, temporal] = await Promise.all([startKubernetes(stage), startTestTemporal()]);
  stage.add(kubernetes);
  const port = Number(new URL(kubernetes.url).port);
  gap = await openTcpGap({ host: '127.0.0.1', port });
  const [host = '', temporalPort = ''] = temporal.environment.address.split(':');
  temporalGap = await openTcpGap({ host, port: Number(temporalPort) });
  healthPort = await freePort();
  const rendered = await output('kubectl', ['kustomize', join(root, 'deploy/kubernetes/operator')]);
  const manifests = rendered.split(/^---$/m);
  const isBinding = (text: string): boolean => text.includes('kind: ValidatingAdmissionPolicyBinding');
  await applyManifests(manifests.filter((text) => !isBinding(text)));
  [protection] = manifests.filter(isBinding);
  // The operator has the rights that those manifests give to it, and comes by a way that can be shut.
  kubeconfig = join(stage.directory, 'operator.kubeconfig');
  const { kubeconfig: own } = kubernetes.user('system:serviceaccount:espalier-system:espalier-operator');
  const text = readFileSync(own, 'utf8');
  writeFileSync(kubeconfig, text.replaceAll(`:${port}`, `:${gap.port}`), { mode: 0o600 });
  await call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await installDefinitions(kubernetes);
  const world = {
    control: () => spread((one) => one.control()),
    cloud: (cloud: 'gcp' | 'aws') => spread((one) => one.cloud(cloud)),
  };
  working = temporal.withWorkers(world, async () => {
    await once(over.signal, 'abort');
  });
  startOperator(healthPort);
});
afterAll(async () => {
  for (const operator of operators) await end(operator, 'SIGTERM');
  over.abort();
  await working;
  await temporal.close();
  await gap.close();
  await temporalGap.close();
  await stage.strike();
});

describe.each(['espalier.io', 'legacy.espalier.io'])('a claim of %s', (group) => {
  const name = group.split('.')[0]! === 'legacy' ? 'legacy' : 'first';
  const smaller = { segments: [{ ...spec.segments[0], nodes: 1 }], workloads: [spec.workloads[0]] };

  it('grows its trust domain, and says so', async () => {
    await apply(name, {}, group);
    const claim = await until(name, 'UpToDate', 'True UpToDate', group);
    expect(conditionOf(claim, 'Standing')).toBe('True Standing');
    expect(claim.metadata.finalizers).toContain('espalier.io/trust-domain');
    expect(worlds.get(`${name}.example.org`)!.things).toContain('gcp instance upstream-0');
    await eventually('each change is an event', async () => {
      const { items } = await call<{ items: { reason: string; involvedObject: { name: string } }[] }>(
        'GET',
        `/api/v1/namespaces/${namespace}/events`,
      );
      const reasons = items.filter(({ involvedObject }) => involvedObject.name === name).map(({ reason }) => reason);
      expect(reasons.toSorted()).toEqual(['Accepted', 'Growing', 'Standing', 'UpToDate']);
    });
  });

  it('changes it when it is changed, and waits for an approval where something is taken away', async () => {
    const [gcp, aws] = spec.segments;
    await apply(name, { segments: [{ ...gcp, nodes: 3 }, aws] }, group);
    await until(name, 'UpToDate', 'True UpToDate', group);
    expect(worlds.get(`${name}.example.org`)!.things).toContain('gcp instance gcp-node-2');

    await apply(name, {}, group);
    const waiting = await until(name, 'UpToDate', 'False WaitingForApproval', group);
    const { planDigest } = waiting.status!.espalier!;
    const handle = temporal.environment.client.workflow.getHandle(`trustChange/${name}.example.org`);
    await handle.executeUpdate('approve', {
      args: [{ planDigest, gate: 'action', approver: 'a person', reason: 'wanted' }],
    });
    await until(name, 'UpToDate', 'True UpToDate', group);
    expect(worlds.get(`${name}.example.org`)!.things).not.toContain('gcp instance gcp-node-2');
  });

  it('is deleted while an update waits: that is undone first', async () => {
    await apply(name, smaller, group);
    await until(name, 'UpToDate', 'False WaitingForApproval', group);
    await call('DELETE', pathOf(name, group));
    await until(name, 'TornDown', 'False DeletionProtected', group);
  });

  it('stays when it is deleted by a slip, and goes, with all that it grew, when that is meant', async () => {
    expect(worlds.get(`${name}.example.org`)!.things.size).toBeGreaterThan(5);
    // It does not name all of that any more.
    await apply(name, { ...smaller, deletionProtection: false }, group);
    await gone(name, group);
    expect([...worlds.get(`${name}.example.org`)!.things]).toEqual([]);
  });
});

it('refuses the second claim of a trust domain, and deletes nothing of the first with it', async () => {
  await apply('one');
  await until('one', 'UpToDate', 'True UpToDate');
  await apply('two', { trustDomain: 'one.example.org', deletionProtection: false });
  const refused = await until('two', 'Accepted', 'False TrustDomainTaken');
  expect(refused.status!.espalier!.conditions![0]!.message).toBe(
    'trust domain one.example.org is claimed by trust/one',
  );
  await call('DELETE', pathOf('two'));
  await gone('two');
  expect(worlds.get('one.example.org')!.things).toContain('gcp instance upstream-0');
});

it('says what a specification lacks that the definition cannot see', async () => {
  const [gcp] = spec.segments;
  await apply('faulty', { segments: [gcp], workloads: [{ ...spec.workloads[0], segment: 'nowhere' }] });
  const claim = await until('faulty', 'Accepted', 'False SpecInvalid');
  expect(claim.status!.espalier!.conditions![0]!.message).toContain('workloads[0].segment');
});

it('a definition refuses what it can see, and names the field', async () => {
  const [gcp, aws] = spec.segments;
  await expect(apply('one', { upstream: { cloud: 'aws', region: 'us-east-1', servers: 1 } })).rejects.toThrow(
    'spec.upstream',
  );
  await expect(apply('other', { segments: [{ ...gcp, region: 'Somewhere!' }, aws] })).rejects.toThrow(
    'spec.segments[0].region',
  );
  await expect(apply('other', { ttl: { root: '10h', x509Svid: '1h', jwtSvid: '5m' } })).rejects.toThrow(
    'TTL lattice broken',
  );
});

describe('its connections die without a word, and come back', () => {
  const health = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${healthPort}${path}`)).status;

  it('those to the API server, for a minute: it is not ready, then goes on', async () => {
    expect([await health('/live'), await health('/ready')]).toEqual([200, 200]);
    gap.shut();
    await apply('cut');
    await new Promise((resolve) => setTimeout(resolve, 62_000));
    expect((await claimed('cut')).status).toBeUndefined();
    expect([await health('/live'), await health('/ready')]).toEqual([200, 503]);
    gap.open();
    await until('cut', 'UpToDate', 'True UpToDate');
    expect(await health('/ready')).toBe(200);
  });

  it('those to Temporal: the claim says so, and what was said before stays', async () => {
    temporalGap.shut();
    await apply('cut', { workloads: [] });
    const claim = await until('cut', 'Standing', 'Unknown TemporalUnavailable');
    expect(conditionOf(claim, 'UpToDate')).toBe('True UpToDate');
    temporalGap.open();
    await until('cut', 'Standing', 'True Standing');
  });
});

it('killed at each step, with another replica beside it, grows and takes away all the same, and nothing twice', async () => {
  const killAt = async (what: string, isReached: () => Promise<void>): Promise<void> => {
    const [leader] = operators;
    startOperator();
    await eventually(what, isReached, patienceMs);
    await end(leader!, 'SIGKILL');
  };
  const began = Date.now();
  await apply('killed', { deletionProtection: false });
  await killAt('it is held', async () => {
    expect((await claimed('killed')).metadata.finalizers).toContain('espalier.io/trust-domain');
  });
  await until('killed', 'UpToDate', 'True UpToDate');
  console.log(`killed when it had begun, it stood after ${Date.now() - began} ms`);
  const world = worlds.get('killed.example.org')!;
  expect([...world.made.values()].filter((times) => times > 1)).toEqual([]);

  await call('DELETE', pathOf('killed'));
  await killAt('it is being torn down', async () => {
    const { status } = await temporal.environment.client.workflow
      .getHandle('tearDownTrustDomain/killed.example.org')
      .describe();
    expect(status.name).toBe('RUNNING');
  });
  await gone('killed');
  expect([...world.things]).toEqual([]);
});

it('the installed policy refuses the deletion of a protected claim, of both flavours, and no other', async () => {
  await applyManifests([protection!]);
  const remove = (name: string, group?: string) => call('DELETE', `${pathOf(name, group)}?dryRun=All`);
  for (const group of ['espalier.io', 'legacy.espalier.io']) {
    const domain = { trustDomain: 'kept.example.org', segments: [{ ...spec.segments[0], region: 'europe-west1' }] };
    await apply('kept', { ...domain, workloads: [] }, group);
    await eventually('the deletion is refused', async () => {
      await expect(remove('kept', group)).rejects.toThrow('set spec.deletionProtection to false first');
    });
    await apply('kept', { ...domain, workloads: [], deletionProtection: false }, group);
    await remove('kept', group);
  }
});
