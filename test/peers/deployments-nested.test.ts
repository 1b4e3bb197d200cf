// deploy/kubernetes/enterprise-nested in two clusters with nodes: the root's servers in one, and in the other the servers below it, both agents of its node, and
// workloads by custom resources. What is real and what is not: deployments.test.ts. Needs root.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { only, startTiers } from './support/deployed.ts';
import type { Deployed } from './support/deployed.ts';
import { doorTo } from './support/kubernetes-nodes/nodes.ts';
import { accountKubeconfig } from './support/registration.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 150_000;

describe('the enterprise deployment, nested', () => {
  const stage = createStage();
  const id = (name: string): string => `spiffe://downstream.example.org/${name}`;
  const workloads = ['security-gateway', 'enterprise-api', 'data-processor'];
  let upstream: Deployed;
  let downstream: Deployed;

  beforeAll(async () => {
    ({ upstream, downstream } = await startTiers({ stage, patienceMs }));
    await downstream.apply('enterprise-nested/downstream', ['spire-downstream']);
    await upstream.apply('enterprise-nested/upstream', ['spire-upstream']);
    // The token of the upstream's server in the other cluster, whose API server it finds outside of its own.
    const port = Number(new URL(downstream.kubernetes.url).port);
    const path = join(stage.directory, 'downstream-spire-cluster');
    const account = { namespace: 'spire-upstream', account: 'spire-upstream-server', path };
    await accountKubeconfig(downstream.kubernetes, { ...account, url: `https://10.244.0.1:${port}` });
    await upstream.kubectl('-n', 'spire-upstream', 'create', 'secret', 'generic', 'downstream-spire-cluster', `--from-file=kubeconfig=${path}`); // prettier-ignore
    await upstream.startNodes({ outside: { 'downstream-spire-cluster': { [port]: port } }, doors: [31_081] });
    await downstream.startNodes({
      outside: { 'upstream-spire-cluster': { 31081: doorTo(upstream.directory, 31_081) } },
    });
  });
  afterAll(() => stage.strike());

  it('becomes ready, from the root to the workloads', async () => {
    await upstream.ready('spire-upstream', 'spire-server', 2);
    await downstream.ready('spire-upstream', 'spire-agent');
    await downstream.ready('spire-downstream', 'spire-server', 2);
    await downstream.ready('spire-downstream', 'spire-agent');
    for (const name of workloads) await downstream.ready('downstream-workloads', name);
  });

  it('has workloads that meet in mutual TLS, below the root’s CA', async () => {
    const [gateway, api] = await Promise.all(
      workloads.map(async (name) => only(await downstream.podsOf('downstream-workloads', name))),
    );
    const toApi = await downstream.call(gateway!, 'enterprise-api:80', id('enterprise-api'));
    expect(toApi).toMatchObject({ self: id('security-gateway'), peer: id('enterprise-api') });
    // Its own certificate, and that of the server's CA.
    expect(toApi.peerChain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const toProcessor = await downstream.call(api!, 'data-processor:80', id('data-processor'));
    expect(toProcessor).toMatchObject({ self: id('enterprise-api'), peer: id('data-processor') });
  });
});
