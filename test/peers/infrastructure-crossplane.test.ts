// What the workflows ask of a cloud, by way of Crossplane: on the real API server, with Kubernetes' own garbage collector and the real composition function behind
// mutual TLS. Crossplane's core and its providers are STAND-INS (support/crossplane/), which make in a lab what the clouds would be asked for.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DescribeInstancesCommand, DescribeSecurityGroupsCommand } from '@aws-sdk/client-ec2';
import { MockActivityEnvironment } from '@temporalio/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createObjects } from '../../activities/clients/crossplane/kubernetes-objects.ts';
import { createKubernetesConnection } from '../../activities/clients/kubernetes/connection.ts';
import type { CloudClient } from '../../activities/cloud.ts';
import { createInfrastructure } from '../../activities/infrastructure.ts';
import type { Infrastructure } from '../../activities/infrastructure.ts';
import type { Instance } from '../../activities/plan.ts';
import { awsClients, startTestLab } from '../lab/support.ts';
import type { TestLab } from '../lab/support.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { openTcpGap } from '../support/tcp-gap.ts';
import type { TcpGap } from '../support/tcp-gap.ts';
import { installKinds, startCrossplane } from './support/crossplane/crossplane.ts';
import type { Crossplane } from './support/crossplane/crossplane.ts';
import { startControllers } from './support/kubernetes-controllers.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually } from './support/processes.ts';
import { createStage } from './support/stage.ts';

const namespace = 'trust';
const trustDomain = 'composed.example.org';
const places = [
  { cloud: 'gcp', region: 'us-central1' },
  { cloud: 'aws', region: 'us-east-1' },
] as const;
/** A minute is for those who ask for it, with `PEERS_DRILLS=all`; test/activities/clients/crossplane-composites.test.ts has it in faked time. */
const outageMs = process.env['PEERS_DRILLS'] === 'all' ? 60_000 : 5_000;
const stage = createStage();
let kubernetes: Kubernetes;
let gap: TcpGap;
let lab: TestLab;
let crossplane: Crossplane;
let infrastructure: Infrastructure;

/** As an activity runs it, with so much time. */
function act<T>(perform: () => Promise<T>, startToCloseTimeoutMs = 60_000): Promise<T> {
  return new MockActivityEnvironment({ startToCloseTimeoutMs }).run(perform);
}

/** Each try has patience for seconds; on a busy machine the first ones may have too little to be told why. */
function untilGivenUpWith(reason: RegExp, perform: () => Promise<unknown>): Promise<void> {
  return eventually(String(reason), () => expect(act(perform, 12_000)).rejects.toThrow(reason), 60_000);
}

function clientOf(cloud: 'gcp' | 'aws'): Promise<CloudClient> {
  return infrastructure.client(cloud, 'crossplane');
}

async function objectsOf(plural: string): Promise<{ metadata: { name: string }; spec: Record<string, unknown> }[]> {
  const path = `/apis/espalier.io/v1alpha1/namespaces/${namespace}/${plural}`;
  const { items } = await kubernetes.administrator.call<{ items: never[] }>('GET', path);
  return items;
}

beforeAll(async () => {
  const [started, database] = await Promise.all([startKubernetes(stage), startPostgres()]);
  kubernetes = stage.add(started);
  stage.add({ stop: () => database.remove() });
  stage.add(await startControllers(kubernetes, stage));
  lab = await startTestLab();
  stage.add({ stop: () => lab.close() });
  const { administrator } = kubernetes;
  await administrator.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  const password = 'of-the-test';
  await administrator.call('POST', `/api/v1/namespaces/${namespace}/secrets`, {
    metadata: { name: 'datastore' },
    stringData: { password },
  });
  const kinds = await installKinds(kubernetes);
  const options = {
    directory: stage.directory,
    kubernetes,
    namespace,
    lab: lab.lab.description,
    database: { adminUrl: database.url, password },
  };
  crossplane = stage.add(await startCrossplane(options, kinds));
  const port = Number(new URL(kubernetes.url).port);
  gap = await openTcpGap({ host: '127.0.0.1', port });
  stage.add({ stop: () => gap.close() });
  const kubeconfig = join(stage.directory, 'worker.kubeconfig');
  writeFileSync(kubeconfig, readFileSync(administrator.kubeconfig, 'utf8').replaceAll(`:${port}`, `:${gap.port}`), {
    mode: 0o600,
  });
  infrastructure = createInfrastructure({
    labFile: join(lab.directory, 'lab.json'),
    real: undefined,
    crossplane: {
      providerConfig: 'default',
      gcpPassword: { name: 'datastore', key: 'password' },
      sslMode: 'disable',
      objects: createObjects(createKubernetesConnection({ kubeconfig }), namespace),
    },
  });
});
afterAll(async () => {
  if (process.env['ESPALIER_KEEP'] !== undefined) process.stderr.write(crossplane.log());
  await stage.strike();
});

describe.each(places)('in $cloud', ({ cloud, region }) => {
  const where = { trustDomain, region };
  const node = { ...where, name: `${cloud}-node-0`, role: `node-${cloud}`, bootScript: '', owner: 'run-1' } as const;
  let found: Instance;

  it('a network is there when it is ready, and stays as it is when it is asked for again', async () => {
    const client = await clientOf(cloud);
    await act(() => client.ensureNetwork(where));
    await act(() => client.ensureNetwork(where));
    const networks = (await objectsOf('spirenetworks')).filter(({ spec }) => spec['cloud'] === cloud);
    // As where no Crossplane stands between: agents and workloads of all its networks reach one another.
    expect(networks).toMatchObject([{ spec: { peerCidrs: ['10.0.0.0/8'], workloadCidrs: ['10.0.0.0/8'] } }]);
    const listed = await act(() => client.listResources({ trustDomain, regions: [region] }));
    expect(listed.map(({ kind }) => kind)).toContain('network');
  });

  it('machines of a role have an identity of their own', async () => {
    const client = await clientOf(cloud);
    const rights = { secrets: ['one-secret'], describeInstances: cloud === 'aws', takesCommands: true };
    const { reference, subject } = await act(() =>
      client.ensureInstanceIdentity({ trustDomain, role: `node-${cloud}`, rights }),
    );
    expect(reference).not.toBe('');
    if (cloud === 'gcp') expect(subject).toMatch(/^\d+$/);
  });

  it('a pool has a database server of its own, whose password goes into its address and nowhere else', async () => {
    const servers = await infrastructure.databaseServers(cloud);
    const pool = { trustDomain, pool: cloud, region };
    const address = await act(() => servers.ensure(pool), 120_000);
    const client = new pg.Client({ connectionString: address });
    await client.connect();
    const { rows } = await client.query<{ may: boolean }>(
      'SELECT rolcreatedb AND rolcreaterole AND NOT rolsuper AS may FROM pg_roles WHERE rolname = current_user',
    );
    await client.end();
    expect(rows).toEqual([{ may: true }]);
    expect(await act(() => servers.find(pool))).toBe(address);
    expect(await act(() => servers.listPools(trustDomain))).toEqual([cloud]);
    expect(JSON.stringify(await objectsOf('spiredatastores'))).not.toContain(new URL(address).password);
  });

  it('an instance runs under the name that it was asked for by, and is another run’s to nobody', async () => {
    const client = await clientOf(cloud);
    await act(() => client.ensureInstance(node));
    await act(() => client.ensureInstance(node));
    found = await eventually('the node', async () => (await act(() => client.findInstance(node)))!, 60_000);
    expect(found.name).toBe(node.name);
    expect(found.agentId).toContain(`spiffe://${trustDomain}/spire/agent/`);
    await expect(act(() => client.ensureInstance({ ...node, owner: 'run-2' }))).rejects.toThrow('belongs to run-1');
    expect(await act(() => client.listNodes({ ...where, role: node.role }))).toMatchObject([
      { name: node.name, agentId: found.agentId, isRunning: true },
    ]);
  });

  it('what is on an instance is noted, and it is cut off, without being made anew', async () => {
    const client = await clientOf(cloud);
    const groups = async (): Promise<(string | undefined)[]> => {
      const asked = new DescribeInstancesCommand({ InstanceIds: [found.instanceId] });
      const { Reservations = [] } = await awsClients(lab).ec2.send(asked);
      return Reservations[0]!.Instances![0]!.SecurityGroups!.map(({ GroupId }) => GroupId);
    };
    const before = cloud === 'aws' ? await groups() : [];
    await act(() => client.noteRelease({ ...where, role: node.role, names: [node.name], release: 'ab'.repeat(32) }));
    await eventually('the release', async () => {
      const [listed] = await act(() => client.listNodes({ ...where, role: node.role }));
      expect(listed!.release).toBe('ab'.repeat(8));
    });
    await act(() => client.isolateInstance(node));
    expect((await act(() => client.findInstance(node)))!.instanceId).toBe(found.instanceId);
    if (cloud === 'gcp') return;
    const [isolating, ...others] = await groups();
    expect(others).toEqual([]);
    expect(before).not.toContain(isolating);
    const { SecurityGroups } = await awsClients(lab).ec2.send(
      new DescribeSecurityGroupsCommand({ GroupIds: [isolating!] }),
    );
    expect(SecurityGroups![0]!.IpPermissions).toEqual([]);
  });
});

describe('what goes wrong', () => {
  const where = { trustDomain: 'broken.example.org', region: 'us-east-1' };

  it('a cloud that refuses is quoted, with the part, its condition and since when', async () => {
    const client = await clientOf('aws');
    crossplane.providers.trouble({
      matches: ({ kind }) => kind === 'VPC',
      refuse: 'VpcLimitExceeded: five are enough',
    });
    const refusal = /^waited \d+ s for SpireNetwork .*VPC .*Synced is False since .*VpcLimitExceeded/;
    await untilGivenUpWith(refusal, () => client.ensureNetwork(where));
  });

  it('one that never gets ready is named', async () => {
    const client = await clientOf('aws');
    crossplane.providers.trouble({ matches: ({ kind }) => kind === 'VPC' });
    const late = /^waited \d+ s for SpireNetwork .*VPC .*Ready is False since /;
    await untilGivenUpWith(late, () => client.ensureNetwork(where));
    crossplane.providers.trouble(undefined);
    await act(() => client.ensureNetwork(where));
  });

  it('an API server that is away for a while is waited for', async () => {
    const client = await clientOf('aws');
    gap.shut();
    const waiting = act(() => client.ensureNetwork({ ...where, region: 'us-west-2' }), 120_000 + outageMs);
    await sleep(outageMs);
    // Nothing was made meanwhile, and nobody gave up.
    expect(await Promise.race([waiting.then(() => 'made'), sleep(0, 'waiting')])).toBe('waiting');
    gap.open();
    await waiting;
    expect(await objectsOf('spirenetworks')).toHaveLength(4);
  });

  it('a field that may not change is no reason to try again', async () => {
    const client = await clientOf('aws');
    const [network] = (await objectsOf('spirenetworks')).filter(({ spec }) => spec['region'] === 'us-west-2');
    // Somebody has the name for a network elsewhere: what is asked for would move it.
    await kubernetes.administrator.call(
      'DELETE',
      `/apis/espalier.io/v1alpha1/namespaces/${namespace}/spirenetworks/${network!.metadata.name}`,
    );
    await eventually('it is gone', async () => {
      expect(await objectsOf('spirenetworks')).toHaveLength(3);
    });
    await kubernetes.administrator.call('POST', `/apis/espalier.io/v1alpha1/namespaces/${namespace}/spirenetworks`, {
      apiVersion: 'espalier.io/v1alpha1',
      kind: 'SpireNetwork',
      metadata: { name: network!.metadata.name },
      spec: { trustDomain: where.trustDomain, cloud: 'aws', region: 'eu-west-1', cidr: '10.77.0.0/16' },
    });
    const moved = act(() => client.ensureNetwork({ ...where, region: 'us-west-2' }), 20_000);
    await expect(moved).rejects.toMatchObject({ nonRetryable: true });
    await act(() => client.removeNetwork({ ...where, region: 'us-west-2' }));
  });
});

it('nothing is left when all is taken away, in whatever order Crossplane needs', async () => {
  for (const { cloud, region } of places) {
    const client = await clientOf(cloud);
    const servers = await infrastructure.databaseServers(cloud);
    await act(() => client.removeInstance({ trustDomain, region, name: `${cloud}-node-0` }));
    await act(() => client.removeInstanceIdentity({ trustDomain, role: `node-${cloud}` }));
    await act(() => servers.remove({ trustDomain, pool: cloud, region }), 120_000);
    await act(() => client.removeNetwork({ trustDomain, region }));
    await act(() => client.removeNetwork({ trustDomain, region }));
  }
  await act(async () =>
    (await clientOf('aws')).removeNetwork({ trustDomain: 'broken.example.org', region: 'us-east-1' }),
  );
  for (const plural of ['spirenetworks', 'spireidentities', 'spiredatastores', 'spiremachines'])
    expect(await objectsOf(plural)).toEqual([]);
  for (const { cloud, region } of places) {
    const client = await clientOf(cloud);
    expect(await act(() => client.listResources({ trustDomain, regions: [region] }))).toEqual([]);
  }
});
