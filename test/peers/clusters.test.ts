// A trust domain grown by the real bootstrap on machines of the lab and in a cluster of Kubernetes, whose API server, controllers and programs are real; scheduler,
// kubelet, load balancer and images are STAND-INS (support/kubernetes-nodes). Workloads of both meet, and the tear-down leaves nothing. Needs root.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { fetchHistoryTree } from '../replay/history-tree.ts';
import { findSecrets } from '../replay/secret-shapes.ts';
import { spec } from '../support/specs.ts';
import { clusterUpstream } from './support/cluster-upstream.ts';
import { startNodes } from './support/kubernetes-nodes/nodes.ts';
import type { Nodes } from './support/kubernetes-nodes/nodes.ts';
import type { List, Pod } from './support/kubernetes-nodes/objects.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { callFromPod, runWorkloadPod, whoAmI } from './support/pod-workloads.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, prepareNft, root } from './support/programs.ts';
import { growDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 240_000;
const till = 'production/till';
const [segment] = spec.segments;
const [workload] = spec.workloads;
const image = 'espalier-runtime:0.1.0';
const clustered = {
  ...spec,
  segments: [{ ...segment, nodes: 1 }],
  clusters: [{ name: 'shop', platform: 'onprem', context: 'test', image, expose: 'LoadBalancer' }],
  workloads: [
    workload,
    {
      ...{ segment: 'shop', environment: 'prod', team: 'demo', name: 'till' },
      selectors: ['k8s:ns:production', 'k8s:sa:till'],
    },
  ],
};
const ids = { vm: 'spiffe://example.org/prod/gcp/demo/workload-a', pod: 'spiffe://example.org/prod/onprem/demo/till' };

describe('a trust domain with a cluster', () => {
  const stage = createStage();
  let kubernetes: Kubernetes;
  let nodes: Nodes;
  let domain: RunningDomain | undefined;
  let report: TrustDomainReport;
  /** The lab's instances, which pods call where they are. */
  let near: readonly string[] = [];

  const get = <T>(path: string): Promise<T> => kubernetes.administrator.call<T>('GET', path);
  const names = async (path: string) => (await get<List<Pod>>(path)).items.map(({ metadata }) => metadata.name);

  beforeAll(async () => {
    await prepareNft();
    await prepareGoWorkload();
    kubernetes = stage.add(await startKubernetes(stage));
    nodes = stage.add(await startNodes({ kubernetes, directory: stage.directory, near: () => near }));
    const specFile = join(stage.directory, 'trust-domain.yaml');
    writeFileSync(specFile, JSON.stringify(clustered));
    const state = join(root, '.espalier/peers/clusters');
    mkdirSync(state, { recursive: true });
    process.env['ESPALIER_KUBECONFIG'] = kubernetes.administrator.kubeconfig;
    const growing = growDomain(stage.directory, { state, specFile });
    const upstream = clusterUpstream(kubernetes, patienceMs).then((address) => (near = [address]));
    [domain] = await Promise.all([growing, upstream]);
  });
  afterAll(async () => {
    try {
      await domain?.stop();
    } finally {
      delete process.env['ESPALIER_KUBECONFIG'];
      await stage.strike();
    }
  });

  it('is grown, and reports the cluster’s server below the root and its agent', async () => {
    const { temporal, workflowId } = domain!.summary;
    const connection = await Connection.connect({ address: temporal.address });
    try {
      const client = new Client({ connection, namespace: temporal.namespace });
      const handle = client.workflow.getHandle(workflowId);
      report = (await handle.result()) as TrustDomainReport;
      const histories = await fetchHistoryTree(client.workflow, handle);
      expect(histories.flatMap(({ history }) => findSecrets(history))).toEqual([]);
    } finally {
      await connection.close();
    }
    const { metadata } = await get<Pod>('/api/v1/nodes/node-1');
    expect(report.clusters).toMatchObject([
      {
        name: 'shop',
        servers: [{ name: 'spire-server-0', address: expect.stringMatching(/^127\..*:8081$/) as unknown }],
        agents: [{ name: 'node-1', agentId: `spiffe://example.org/spire/agent/k8s_psat/shop/${metadata.uid}` }],
      },
    ]);
    // An intermediate of its own: not the segment's.
    const [server] = report.clusters?.[0]?.servers ?? [];
    const chains = report.workloads.flatMap(({ chain }) => chain.map(({ sha256 }) => sha256));
    expect(chains).not.toContain(server?.intermediate.sha256);
  });

  it('has a workload in a pod that meets one on a machine in mutual TLS', async () => {
    const [machine] = report.agents;
    near = [...near, `${machine?.address}:9443`];
    const post = (path: string, body: object) => kubernetes.administrator.call('POST', path, body);
    await post('/api/v1/namespaces', { metadata: { name: 'production' } });
    const pod = { namespace: 'production', name: 'till' };
    await runWorkloadPod({ kubernetes, nodes }, { ...pod, peers: [ids.vm] }, patienceMs);
    const address = `${machine?.address}:9443`;
    const met = await eventually(till, () => callFromPod(nodes, pod, address, ids.vm), 30_000);
    expect(met).toMatchObject({ self: ids.pod, peer: ids.vm });
    // What the machine's workload says of its caller, over mutual TLS too.
    expect(await whoAmI(nodes, pod, address, ids.vm)).toMatchObject({ id: ids.vm, caller: ids.pod });
    await expect(callFromPod(nodes, pod, address, ids.pod)).rejects.toThrow(ids.vm);
  });

  it('is torn down, and nothing of it is left in the cluster', async () => {
    await kubernetes.administrator.call('DELETE', '/api/v1/namespaces/production');
    await domain!.stop(); // fails where anything is left
    domain = undefined;
    expect((await names('/api/v1/namespaces')).filter((name) => name.startsWith('spire-'))).toEqual([]);
    for (const kind of ['clusterroles', 'clusterrolebindings'])
      expect(
        (await names(`/apis/rbac.authorization.k8s.io/v1/${kind}`)).filter((name) => name.startsWith('spire-')),
      ).toEqual([]);
    expect(await names('/api/v1/persistentvolumeclaims')).toEqual([]);
  });
});
