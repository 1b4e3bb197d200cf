// From a claim to mutual TLS by way of Crossplane, on machines of two clouds and in a cluster of Kubernetes, and back to nothing: the real API server with its
// controllers, the operator, the workflows on a real Temporal server, agents that attest, registration by custom resources and by labels, workloads that speak. On the
// way operator and workers are killed at random; CLAIMS_SEED repeats a run. STAND-INS are Crossplane's core and providers, which call the real function and make in
// the lab what the clouds would be asked for (support/crossplane/), and scheduler, kubelet and images (support/kubernetes-nodes/). Needs root.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { spec } from '../support/specs.ts';
import { startClaimStory } from './support/claim-story.ts';
import type { ClaimStory, StoryWorld } from './support/claim-story.ts';
import { clusterUpstream } from './support/cluster-upstream.ts';
import { installKinds, startCrossplane } from './support/crossplane/crossplane.ts';
import type { CrossplaneOptions } from './support/crossplane/crossplane.ts';
import { startNodes } from './support/kubernetes-nodes/nodes.ts';
import type { Nodes } from './support/kubernetes-nodes/nodes.ts';
import type { List, Pod } from './support/kubernetes-nodes/objects.ts';
import { callFromPod, runWorkloadPod, whoAmI } from './support/pod-workloads.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, prepareNft } from './support/programs.ts';
import { accountKubeconfig, applyRights, installDefinitions, startRegistration } from './support/registration.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 12 * 60_000;
const timeout = patienceMs + 60_000;
const stage = createStage();
const clusters: StoryWorld['clusters'] = [
  {
    name: 'shop',
    platform: 'onprem',
    context: 'test',
    servers: 1,
    intermediateTtl: '12h',
    image: 'espalier-runtime:0.1.0',
    expose: 'LoadBalancer',
  },
];
const id = (path: string): string => `spiffe://example.org/${path}`;
const [a, b, till] = ['gcp/demo/workload-a', 'aws/demo/workload-b', 'onprem/demo/till'].map((path) => id(`prod/${path}`)) as [string, string, string]; // prettier-ignore
/** By a custom resource, and by a label. */
const [checkout, ledger] = [id('ns/resources/sa/checkout'), id('ns/objects/sa/ledger')] as const;
/** Not those of the control plane, which leaves what somebody else puts there. */
const namespaces = ['registration', 'production', 'resources', 'objects'];
let story: ClaimStory;
let nodes: Nodes;
/** The lab's instances, which pods call where they are. */
let near: readonly string[] = [];

beforeAll(async () => {
  await Promise.all([prepareNft(), prepareGoWorkload()]);
  story = await startClaimStory(stage, patienceMs);
  const { kubernetes, namespace } = story;
  nodes = stage.add(await startNodes({ kubernetes, directory: stage.directory, near: () => near }));
  const kinds = await installKinds(kubernetes);
  await installDefinitions(kubernetes);
  const password = 'of-the-test';
  await kubernetes.administrator.call('POST', `/api/v1/namespaces/${namespace}/secrets`, {
    metadata: { name: 'datastore' },
    stringData: { password },
  });
  const postgres = await startPostgres();
  stage.add({ stop: () => postgres.remove() });
  await story.startWorld({
    clusters,
    environment: {
      DATABASE_URL: postgres.url,
      ESPALIER_CROSSPLANE_NAMESPACE: namespace,
      ESPALIER_CROSSPLANE_PASSWORD_SECRET: 'datastore/password',
      ESPALIER_CROSSPLANE_SSLMODE: 'disable',
      ESPALIER_KUBECONFIG: kubernetes.administrator.kubeconfig,
    },
  });
  const lab = JSON.parse(story.labFile()) as CrossplaneOptions['lab'];
  const database = { adminUrl: postgres.url, password };
  stage.add(await startCrossplane({ directory: stage.directory, kubernetes, namespace, lab, database }, kinds));
  story.startOperator();
});
afterAll(() => stage.strike());

const get = <T>(path: string): Promise<T> => story.kubernetes.administrator.call<T>('GET', path);
const namesAt = async (path: string) => (await get<List<Pod>>(path)).items.map(({ metadata }) => metadata.name);

async function composed(): Promise<string[]> {
  const kinds = 'spirenetworks,spiredatastores,spireidentities,spiremachines';
  return (await story.kubectl('get', kinds, '-o', 'name')).split('\n').filter((line) => line !== '');
}

it(
  'a claim is made true by Crossplane and the workflows together, until its workloads speak in mutual TLS',
  { timeout },
  async () => {
    const selectors = ['k8s:ns:production', 'k8s:sa:till'];
    await story.claim({
      // Crossplane makes the infrastructure where nothing else is said.
      ...spec,
      clusters,
      workloads: [...spec.workloads, { segment: 'shop', environment: 'prod', team: 'demo', name: 'till', selectors }],
      gcp: {
        project: 'espalier-lab',
        image: 'global/images/espalier',
        passwordSecretRef: { name: 'datastore', key: 'password' },
      },
      aws: { account: '123456789012', image: 'ami' },
    });
    const upstream = clusterUpstream(story.kubernetes, patienceMs).then((address) => (near = [address]));
    await story.killingMeanwhile(Promise.all([story.becomes('UpToDate'), upstream]));
    const names = await composed();
    const count = (kind: string): number => names.filter((name) => name.startsWith(`${kind}.`)).length;
    expect([count('spirenetwork'), count('spiredatastore'), count('spiremachine')]).toEqual([2, 3, 7]);
    await eventually('the claim is ready, by Crossplane', async () => {
      const waited = await story.kubectl('wait', 'sptd/example', '--for=condition=Ready', '--timeout=1s');
      expect(waited).toContain('condition met');
    });
  },
);

it('its agents were attested by aws_iid, gcp_iit and k8s_psat', async () => {
  const report = (await story.result('bootstrapTrustDomain/example.org')) as TrustDomainReport;
  expect(report.handshakes.map(({ from, to }) => [from, to])).toEqual([
    [a, b],
    [b, a],
  ]);
  const attestors = report.agents.map(({ agentId }) => /\/spire\/agent\/(\w+)\//.exec(agentId)?.[1]);
  expect(attestors.toSorted()).toEqual(['aws_iid', 'aws_iid', 'gcp_iit', 'gcp_iit']);
  const { metadata } = await get<Pod>('/api/v1/nodes/node-1');
  const agentId = id(`spire/agent/k8s_psat/shop/${metadata.uid}`);
  expect(report.clusters).toMatchObject([{ name: 'shop', agents: [{ name: 'node-1', agentId }] }]);
});

it('has pods that are registered by custom resources, by labels and by the claim, and meet each other and a machine', async () => {
  const { kubernetes } = story;
  const post = (path: string, body: object) => kubernetes.administrator.call('POST', path, body);
  for (const name of namespaces) await post('/api/v1/namespaces', { metadata: { name } });
  await post('/apis/spire.spiffe.io/v1alpha1/clusterspiffeids', {
    apiVersion: 'spire.spiffe.io/v1alpha1',
    kind: 'ClusterSPIFFEID',
    metadata: { name: 'by-resource' },
    spec: {
      spiffeIDTemplate: 'spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}',
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'resources' } },
    },
  });
  await applyRights(kubernetes, 'custom-resources/rights.yaml', 'registration');
  await applyRights(kubernetes, 'objects/rights.yaml', 'objects');
  const register = async (name: string, account: { namespace: string; account: string }, cluster: object) => {
    const kubeconfig = await accountKubeconfig(kubernetes, { ...account, path: join(stage.directory, `${name}.kubeconfig`) }); // prettier-ignore
    return stage.add(
      startRegistration(stage.directory, name, {
        trustDomain: 'example.org',
        server: { socket: join(nodes.volumeDirectory('spire-server', 'spire-server-0', 'sockets'), 'server.sock') },
        entryIdPrefix: name,
        health: '127.0.0.1:0',
        clusters: [{ name: 'shop', kubeconfig, ...cluster }],
      }),
    );
  };
  const resources = await register('resources', { namespace: 'registration', account: 'registration' }, { mode: 'crds', clusterDomain: 'cluster.local' }); // prettier-ignore
  const objects = await register('objects', { namespace: 'objects', account: 'espalier-registration' }, { mode: 'objects', namespaces: [{ name: 'objects' }] }); // prettier-ignore

  const report = (await story.result('bootstrapTrustDomain/example.org')) as TrustDomainReport;
  const machines = report.workloads.map(({ spiffeId, agent }) => ({
    peer: spiffeId,
    address: `${report.agents.find(({ name }) => name === agent)?.address}:9443`,
  }));
  near = [...near, ...machines.map(({ address }) => address)];
  const labels = { 'espalier.io/register': 'true' };
  const run = (namespace: string, name: string, peers: readonly string[]) =>
    runWorkloadPod({ kubernetes, nodes }, { namespace, name, peers, ...(namespace === 'objects' && { labels }) }, 240_000); // prettier-ignore
  const [tillPod, checkoutPod, ledgerPod] = await Promise.all([
    run('production', 'till', [ledger]),
    run('resources', 'checkout', [till]),
    run('objects', 'ledger', [checkout]),
  ]);
  for (const program of [resources, objects]) program.checkRunning();

  const round = [
    { pod: tillPod, self: till, to: checkoutPod, peer: checkout },
    { pod: checkoutPod, self: checkout, to: ledgerPod, peer: ledger },
    { pod: ledgerPod, self: ledger, to: tillPod, peer: till },
  ];
  for (const { pod, self, to, peer } of round) {
    const address = `${(to.status as { podIP?: string }).podIP}:8443`;
    expect(await callFromPod(nodes, pod.metadata, address, peer)).toMatchObject({ self, peer });
    expect(await whoAmI(nodes, pod.metadata, address, peer)).toEqual(
      expect.objectContaining({ id: peer, caller: self }),
    );
  }
  for (const { peer, address } of machines)
    expect(await whoAmI(nodes, tillPod.metadata, address, peer)).toMatchObject({ id: peer, caller: till });
});

it('the claim is deleted, and nothing is left in Kubernetes and in the clouds', { timeout }, async () => {
  for (const name of namespaces) await story.kubernetes.administrator.call('DELETE', `/api/v1/namespaces/${name}`);
  await story.unprotect();
  await story.kubectl('delete', 'sptd', 'example', '--wait=false');
  const isGone = async () => {
    expect(await story.kubectl('get', 'sptd', '-o', 'name')).toBe('');
    expect(await composed()).toEqual([]);
  };
  await story.killingMeanwhile(eventually('everything is gone', isGone, patienceMs));
  expect(await story.machines()).toBe(0);
  expect(await story.result('tearDownTrustDomain/example.org')).toEqual({ trustDomain: 'example.org', left: [] });
  expect((await namesAt('/api/v1/namespaces')).filter((name) => name.startsWith('spire-'))).toEqual([]);
  expect(await namesAt('/api/v1/persistentvolumeclaims')).toEqual([]);
});
