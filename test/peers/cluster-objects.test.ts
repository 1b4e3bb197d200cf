// What the control plane applies to a cluster, before the API server that judges it in earnest: the bases as kustomize renders them, for a matrix of
// specifications, strictly; and the activities themselves, with Kubernetes' own controllers, where a test is scheduler and kubelet.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentObjects } from '../../activities/clusters/agent-objects.ts';
import type { BaseObject } from '../../activities/clusters/bases.ts';
import { renderBases } from '../../activities/clusters/bases.ts';
import { createClusterActivities } from '../../activities/clusters/cluster-activities.ts';
import { placeOf } from '../../activities/clusters/kinds.ts';
import { serverObjects } from '../../activities/clusters/server-objects.ts';
import { createKubernetesConnection } from '../../activities/clients/kubernetes/connection.ts';
import { createKubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import type { KubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import { pathOf } from '../../activities/clients/kubernetes/resource-kinds.ts';
import { owned, upstream } from '../activities/clusters/clusters.ts';
import { readObjects } from '../deploy/kubernetes/objects.ts';
import { createClusterHand } from './support/cluster-hand.ts';
import type { ClusterHand } from './support/cluster-hand.ts';
import { startControllers } from './support/kubernetes-controllers.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { output } from './support/processes.ts';
import { root } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
let kubernetes: Kubernetes;
let hand: ClusterHand;
let api: KubernetesApi;

beforeAll(async () => {
  kubernetes = stage.add(await startKubernetes(stage));
  stage.add(await startControllers(kubernetes, stage));
  hand = createClusterHand(kubernetes);
  const { kubeconfig } = kubernetes.administrator;
  api = createKubernetesApi(createKubernetesConnection({ kubeconfig, context: 'test' }));
});
afterAll(() => stage.strike());

const applied = { contentType: 'application/apply-patch+yaml' };

const overlays = [
  { namespace: 'spire-server', bases: ['server', 'postgres', 'default-deny'], configMaps: ['server-config'] },
  { namespace: 'spire-system', bases: ['agent', 'attestation', 'default-deny'], configMaps: ['agent-config'] },
];

describe('the bases', () => {
  it.each(overlays)('are rendered for $namespace as kustomize renders them', async (overlay) => {
    const directory = join(stage.directory, overlay.namespace);
    mkdirSync(directory, { recursive: true });
    const text = JSON.stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: overlay.namespace,
      namePrefix: 'spire-',
      resources: overlay.bases.map((base) => relative(directory, join(root, 'deploy/kubernetes/bases', base))),
      generatorOptions: { disableNameSuffixHash: true },
      configMapGenerator: overlay.configMaps.map((name) => ({ name, literals: ['a=b'] })),
    });
    writeFileSync(join(directory, 'kustomization.yaml'), text);
    const byKustomize = readObjects(await output('kubectl', ['kustomize', directory]));
    const ours = renderBases({ ...overlay, prefix: 'spire-' });
    const key = ({ kind, metadata }: { kind: string; metadata: { name: string } }) => `${kind} ${metadata.name}`;
    const sorted = <T extends { kind: string; metadata: { name: string } }>(objects: readonly T[]): T[] =>
      objects.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
    const generated = overlay.configMaps.map((name) => `ConfigMap spire-${name}`);
    expect(sorted(ours)).toEqual(sorted(byKustomize).filter((object) => !generated.includes(key(object))));
  });
});

describe('the API server', () => {
  const matrix = [
    {},
    { servers: 9, expose: 'NodePort', intermediateTtl: '24h' },
    { servers: 3, expose: 'LoadBalancer', storageClass: 'fast', platform: 'aws' },
    { name: `a${'b'.repeat(30)}c`, image: `localhost:5000/runtime@sha256:${'0a'.repeat(32)}` },
  ];

  it.each(matrix)('takes everything strictly of a cluster with %o', async (change) => {
    const input = owned(change);
    for (const name of ['spire-server', 'spire-system'])
      await kubernetes.administrator.call(
        'PATCH',
        `/api/v1/namespaces/${name}?fieldManager=matrix`,
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
        applied,
      );
    const objects = [...serverObjects(input), ...agentObjects(input.plan, input.cluster)];
    const refused: string[] = [];
    for (const object of objects)
      await dryRun(object).catch((refusal: unknown) =>
        refused.push(`${object.kind} ${object.metadata.name}: ${(refusal as Error).message}`),
      );
    expect(refused).toEqual([]);
  });

  it('refuses an object with a field that it does not know', async () => {
    const [object] = serverObjects(owned());
    await expect(dryRun({ ...object!, spec: { unknown: 1 } })).rejects.toThrow('spec');
  });

  const dryRun = ({ kind, metadata, ...rest }: BaseObject): Promise<unknown> => {
    const path = pathOf(placeOf(kind, metadata.namespace), metadata.name);
    const asked = `${path}?dryRun=All&fieldValidation=Strict&fieldManager=dry&force=true`;
    return kubernetes.administrator.call('PATCH', asked, { kind, metadata, ...rest }, applied);
  };
});

describe('the activities', () => {
  const input = owned({ servers: 2 });
  const { plan, cluster } = input;
  const within = { trustDomain: input.trustDomain, cluster };
  const activities = createClusterActivities({
    api: (context) => {
      expect(context).toBe('test');
      return api;
    },
    contexts: () => Promise.resolve(['test']),
    clock: Date.now,
  });
  /** As Temporal would run them, for as long as said. */
  const perform = <T>(act: () => Promise<T>, seconds = 60): Promise<T> =>
    new MockActivityEnvironment({ startToCloseTimeoutMs: seconds * 1000 }).run<[], T, () => Promise<T>>(act);

  beforeAll(async () => {
    // Of the matrix above, whose namespaces bear no label.
    for (const name of ['spire-server', 'spire-system'])
      await kubernetes.administrator.call('DELETE', `/api/v1/namespaces/${name}`).catch(() => undefined);
    await hand.until('the namespaces are gone', async () => {
      const names = await hand.names('/api/v1/namespaces');
      expect(names.filter((name) => name.startsWith('spire-'))).toEqual([]);
    });
    await hand.createNode('node-a', '192.0.2.1');
    await hand.createNode('node-b', '192.0.2.2');
  }, 120_000);

  it('take over no namespace of somebody else', async () => {
    await kubernetes.administrator.call('POST', '/api/v1/namespaces', { metadata: { name: 'spire-system' } });
    await expect(perform(() => activities.ensureClusterServerNodes(input))).rejects.toMatchObject({
      type: 'Conflict',
      message: 'Namespace spire-system of cluster shop exists already and was not made for example.org',
    });
    // All are looked at before the first is made.
    expect(await hand.names('/api/v1/namespaces')).not.toContain('spire-server');
    await kubernetes.administrator.call('DELETE', '/api/v1/namespaces/spire-system');
    await hand.until('it is gone', async () =>
      expect(await hand.names('/api/v1/namespaces')).not.toContain('spire-system'),
    );
  });

  it('make a key for each server, answer what is public, and the same when asked again', async () => {
    const nodes = await perform(() => activities.ensureClusterServerNodes(input));
    expect(nodes.certificatePem).toMatch(/^-----BEGIN CERTIFICATE-----/);
    expect(nodes.agentIds).toHaveLength(2);
    expect(new Set(nodes.agentIds).size).toBe(2);
    expect(JSON.stringify(nodes)).not.toContain('PRIVATE');
    expect(await perform(() => activities.ensureClusterServerNodes(input))).toEqual(nodes);
    const keys = await hand.secretKeys('spire-server', 'spire-server-nodes');
    expect(keys).toEqual([
      'authority.crt',
      // For every server that it may come to have.
      ...Array.from({ length: 9 }, (_, index) => `spire-server-${index}`).flatMap((name) => [
        `${name}.crt`,
        `${name}.key`,
      ]),
    ]);
  });

  it('apply the servers once, keep their password, and leave to another run what this one made', async () => {
    await perform(() => activities.ensureClusterServer(input));
    const password = await hand.secret('spire-server', 'spire-database', 'password');
    expect(password).toMatch(/^[0-9a-f]{64}$/);
    await perform(() => activities.ensureClusterServer(input));
    expect(await hand.secret('spire-server', 'spire-database', 'password')).toBe(password);
    expect(JSON.stringify(await perform(() => activities.listClusterResources(within)))).not.toContain(password);
    await expect(perform(() => activities.ensureClusterServer({ ...input, owner: 'another' }))).rejects.toMatchObject({
      type: 'Conflict',
      message: 'Secret spire-server/spire-database of cluster shop exists already and belongs to a-run',
    });
  });

  it('wait for the servers with the pod that is not ready, why, and since when', async () => {
    await hand.until('pods are made', async () => expect(await hand.pods('spire-server')).toHaveLength(3));
    await hand.place('spire-server', 'spire-db-0', 'node-a');
    await expect(perform(() => activities.waitForClusterServer(within), 2)).rejects.toMatchObject({
      type: 'NotReady',
      message: expect.stringMatching(
        /^waited \d s for the server of cluster shop: StatefulSet spire-server\/spire-db: 0 of 1 pods are ready, 1 as they are wanted now: pod spire-server\/spire-db-0 on node-a: Pending since 20\d\d-/,
      ) as unknown,
    });
    await hand.ready('spire-server', 'spire-db-0');
    await hand.waiting('spire-server', 'spire-server-0', 'node-a', 'ImagePullBackOff');
    await expect(perform(() => activities.waitForClusterServer(within), 3)).rejects.toMatchObject({
      message: expect.stringMatching(
        /pod spire-server\/spire-server-0 on node-a: Ready is False since 2026-01-01T00:00:00Z, ContainersNotReady, container spire-server waits: ImagePullBackOff/,
      ) as unknown,
    });
  });

  it('give up where an image can never be pulled', async () => {
    await hand.waiting('spire-server', 'spire-server-0', 'node-a', 'InvalidImageName');
    await expect(perform(() => activities.waitForClusterServer(within))).rejects.toMatchObject({
      type: 'InvalidRequest',
      nonRetryable: true,
    });
  });

  it('say where the servers are once they are ready', async () => {
    // A wait that begins before the pod has another image than the one that can never be pulled gives up at once.
    await hand.waiting('spire-server', 'spire-server-0', 'node-a', 'ImagePullBackOff');
    const waiting = perform(() => activities.waitForClusterServer(within));
    for (const name of ['spire-server-0', 'spire-server-1']) await hand.ready('spire-server', name, 'node-a');
    const servers = await waiting;
    expect(servers.map(({ name }) => name)).toEqual(['spire-server-0', 'spire-server-1']);
    for (const { address } of servers) expect(address).toMatch(/^10\.96\.\d+\.\d+:8081$/);
    expect(servers[0]?.address).not.toBe(servers[1]?.address);
  });

  it('say the agent of every node, once all are ready, and until then which is not', async () => {
    await perform(() => activities.ensureClusterAgents(input));
    await hand.until('pods are made', async () => expect(await hand.pods('spire-system')).toHaveLength(2));
    const pods = await hand.podsByNode('spire-system');
    const [first = '', second = ''] = [pods.get('node-a'), pods.get('node-b')];
    await hand.ready('spire-system', first, 'node-a');
    await hand.place('spire-system', second, 'node-b');
    await expect(perform(() => activities.waitForClusterAgents(within), 2)).rejects.toMatchObject({
      message: expect.stringContaining(
        `1 of 2 pods are ready, 2 as they are wanted now: pod spire-system/${second} on node-b`,
      ) as unknown,
    });
    await hand.ready('spire-system', second);
    const agents = await perform(() => activities.waitForClusterAgents(within));
    const uids = await hand.uids('/api/v1/nodes');
    expect(agents).toEqual(
      ['node-a', 'node-b'].map((name) => ({
        name,
        agentId: `spiffe://example.org/spire/agent/k8s_psat/shop/${uids.get(name)}`,
      })),
    );
  });

  it('clear nothing for a run that made nothing', async () => {
    const before = await perform(() => activities.listClusterResources(within));
    await perform(() => activities.removeCluster({ ...within, owner: 'another' }));
    expect(await perform(() => activities.listClusterResources(within))).toEqual(before);
    expect(before.every(({ owner }) => owner === 'a-run' || owner === undefined)).toBe(true);
  });

  it('leave a namespace in which somebody else keeps something, and clear it when that is gone', async () => {
    await kubernetes.administrator.call('POST', '/api/v1/namespaces/spire-system/configmaps', {
      metadata: { name: 'theirs' },
    });
    const clearing = perform(() => activities.removeCluster(within), 90);
    clearing.catch(() => undefined);
    await hand.letGo(['spire-server', 'spire-system'], clearing);
    await expect(clearing).rejects.toMatchObject({
      type: 'Conflict',
      message:
        'namespace spire-system of cluster shop is left, as somebody else keeps something in it: ConfigMap theirs',
    });
    await kubernetes.administrator.call('DELETE', '/api/v1/namespaces/spire-system/configmaps/theirs');
    await perform(() => activities.removeCluster(within), 90);
    expect(await perform(() => activities.listClusterResources(within))).toEqual([]);
    expect((await hand.names('/api/v1/namespaces')).filter((name) => name.startsWith('spire-'))).toEqual([]);
    const roles = await hand.names('/apis/rbac.authorization.k8s.io/v1/clusterroles');
    expect(roles.filter((name) => name.startsWith('spire-'))).toEqual([]);
    await perform(() => activities.removeCluster(within)); // content where there is nothing
  });

  it('find a server by a node’s port, and wait for the address of a load balancer', async () => {
    const exposed = (expose: string) => {
      const other = owned({ expose });
      return { ...other, plan, upstream };
    };
    const byPort = exposed('NodePort');
    await perform(() => activities.ensureClusterServerNodes(byPort));
    await perform(() => activities.ensureClusterServer(byPort));
    await hand.until('pods are made', async () => expect(await hand.pods('spire-server')).toHaveLength(2));
    for (const name of ['spire-db-0', 'spire-server-0']) await hand.ready('spire-server', name, 'node-a');
    const asked = { trustDomain: 'example.org', cluster: byPort.cluster };
    const [server] = await perform(() => activities.waitForClusterServer(asked));
    expect(server?.address).toMatch(/^192\.0\.2\.1:3\d{4}$/);

    const byBalancer = exposed('LoadBalancer');
    await perform(() => activities.ensureClusterServer(byBalancer));
    const balanced = { trustDomain: 'example.org', cluster: byBalancer.cluster };
    await expect(perform(() => activities.waitForClusterServer(balanced), 2)).rejects.toMatchObject({
      message: expect.stringContaining(
        'Service spire-server/spire-server-0 has no address of a load balancer yet',
      ) as unknown,
    });
    const status = { loadBalancer: { ingress: [{ hostname: 'shop.elb.example.com' }] } };
    const path = '/api/v1/namespaces/spire-server/services/spire-server-0/status';
    await kubernetes.administrator.call('PATCH', path, { status }, { contentType: 'application/merge-patch+json' });
    expect(await perform(() => activities.waitForClusterServer(balanced))).toEqual([
      { name: 'spire-server-0', address: 'shop.elb.example.com:8081' },
    ]);
  });
});
