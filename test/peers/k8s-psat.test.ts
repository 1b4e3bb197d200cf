// Agents attest by the tokens of a real Kubernetes, in every pairing of ours with SPIRE's; and what our server refuses of what that Kubernetes signs.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AttestError } from '../../runtime/attest/attest-error.ts';
import { createServerAttestor } from '../../runtime/attest/server-attestors.ts';
import { bytes, contextWith, expectRefusal, noChallenge, trustDomain } from '../runtime/attest/server-context.ts';
import { allow, createNamespace, createNode, createPod, deletePod, requestToken } from './support/kubernetes-pods.ts';
import type { Placed } from './support/kubernetes-pods.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, prepareSpireAgent, prepareSpireServer } from './support/programs.ts';
import { createStage } from './support/stage.ts';
import { fetchInGo, ownUid } from './support/workloads.ts';

const stage = createStage();
const namespace = 'spire-system';
const account = 'spire-agent';
const audiences = ['spire-server'];
const rights = [
  { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get'] },
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
];
let kubernetes: Kubernetes;
let other: Kubernetes;
let node: Placed;
let kubeconfig: string;
let otherKubeconfig: string;
let spire: Readonly<Record<'server' | 'agent', string>>;
let goWorkload: string;

beforeAll(async () => {
  spire = { server: await prepareSpireServer(), agent: await prepareSpireAgent() };
  goWorkload = await prepareGoWorkload();
  kubernetes = stage.add(await startKubernetes(stage));
  other = stage.add(await startKubernetes({ directory: join(stage.directory, 'other') }));
  for (const cluster of [kubernetes, other]) {
    await createNamespace(cluster, namespace, [account, 'another']);
    await allow(cluster, 'spire-server', rights);
  }
  node = await createNode(kubernetes, 'node-1', { zone: 'a', secret: 'b' });
  await createNode(other, 'node-1');
  kubeconfig = kubernetes.user('spire-server').kubeconfig;
  otherKubeconfig = other.user('spire-server').kubeconfig;
});
afterAll(() => stage.strike());

const clusterBlock = (name: string, path: string, more = ''): string => `"${name}" = {
  service_account_allow_list = ["${namespace}:${account}"]
  kube_config_file = "${path}"
  ${more}
}`;
const pod = (name: string, cluster = kubernetes) =>
  createPod(cluster, { namespace, name, account, node: 'node-1', labels: { app: 'spire-agent' } });

/** Where the kubelet would have put it. */
async function projectToken(name: string): Promise<{ path: string; uid: string }> {
  const placed = await pod(name);
  const path = join(stage.directory, `${name}.token`);
  writeFileSync(path, await requestToken(kubernetes, { namespace, account, audiences, pod: placed }), { mode: 0o600 });
  return { path, uid: placed.uid };
}

describe.each([
  { title: 'SPIRE’s agent on our server', server: 'ours', agent: 'theirs' },
  { title: 'our agent on SPIRE’s server', server: 'theirs', agent: 'ours' },
  { title: 'our agent on our server', server: 'ours', agent: 'ours' },
])('$title', ({ title, server: serverOf, agent: agentOf }) => {
  it('attests by its pod, and its node has workloads', async () => {
    const name = title.replaceAll(/\W/g, '').toLowerCase();
    const labels = 'allowed_node_label_keys = ["zone"] allowed_pod_label_keys = ["app"]';
    const clusters = clusterBlock('production', kubeconfig, labels);
    const server = await stage.server({
      name: `s-${name}`,
      plugins: `NodeAttestor "k8s_psat" { plugin_data { clusters = { ${clusters} } } }`,
      ...(serverOf === 'theirs' && { command: spire.server }),
    });
    const token = await projectToken(name);
    const id = `spiffe://example.org/spire/agent/k8s_psat/production/${node.uid}`;
    const nodes = 'spiffe://example.org/nodes/production';
    const workload = 'spiffe://example.org/prod/onprem/demo/in-the-cluster';
    await server.operate('entry', 'create', '-node', '-spiffeID', nodes, '-selector', 'k8s_psat:cluster:production');
    await server.createEntry({ parentId: nodes, spiffeId: workload, selectors: [ownUid] });
    const block = `NodeAttestor "k8s_psat" { plugin_data { cluster = "production" token_path = "${token.path}" } }`;
    const agent = await stage.agent({
      name: `a-${name}`,
      server,
      attestor: { block, id },
      ...(agentOf === 'theirs' && { command: spire.agent }),
    });
    const shown = JSON.parse(await server.operate('agent', 'show', '-spiffeID', id, '-output', 'json')) as {
      attestation_type: string;
      can_reattest: boolean;
      selectors: { type: string; value: string }[];
    };
    expect(shown).toMatchObject({ attestation_type: 'k8s_psat', can_reattest: true });
    expect(shown.selectors.map(({ type, value }) => `${type}:${value}`).sort()).toEqual(
      [
        'cluster:production',
        `agent_ns:${namespace}`,
        `agent_sa:${account}`,
        `agent_pod_name:${name}`,
        `agent_pod_uid:${token.uid}`,
        'agent_node_ip:192.0.2.7',
        'agent_node_name:node-1',
        `agent_node_uid:${node.uid}`,
        'agent_node_label:zone:a',
        'agent_pod_label:app:spire-agent',
      ]
        .map((value) => `k8s_psat:${value}`)
        .sort(),
    );
    // SPIRE's server reads what is new every five seconds.
    const fetched = await eventually('the workload has its SVID', () => fetchInGo(goWorkload, agent, 'reports'));
    expect(fetched).toMatchObject({ id: workload });
    await agent.stop();

    // The node has lost its state: the token alone lets it in again, as the same agent.
    const again = await stage.agent({
      name: `again-${name}`,
      server,
      attestor: { block, id },
      ...(agentOf === 'theirs' && { command: spire.agent }),
    });
    const { agents } = JSON.parse(await server.operate('agent', 'list', '-output', 'json')) as { agents: object[] };
    expect(agents).toHaveLength(1);
    await again.stop();
    await server.stop();
  });
});

describe('our server refuses', () => {
  const logged: object[] = [];
  const log = { debug: () => undefined, warn: (fields: object) => void logged.push(fields) };
  const judge = (clusters: Record<string, object>) =>
    createServerAttestor('k8s_psat', { clusters }, { trustDomain, log, clock: Date.now });
  const allowed = { service_account_allow_list: [`${namespace}:${account}`] };
  const both = () =>
    judge({
      production: { ...allowed, kube_config_file: kubeconfig },
      staging: { ...allowed, kube_config_file: otherKubeconfig },
      own: { ...allowed, kube_config_file: kubeconfig, audience: [] },
    });
  const attest = (cluster: string, token: string, server = both()) =>
    server.attest(bytes(JSON.stringify({ cluster, token })), noChallenge, contextWith());
  const tokenOf = async (name: string, more: { account?: string; audiences?: string[] } = {}) =>
    requestToken(kubernetes, { namespace, account, audiences, pod: await pod(name), ...more });

  it('a token of another cluster, and takes it in its own', async () => {
    const token = await tokenOf('cross');
    await expectRefusal(attest('staging', token), 'PERMISSION_DENIED', 'TOKEN_UNAUTHENTICATED');
    await expect(attest('production', token)).resolves.toMatchObject({ canReattest: true });
  });

  it('a token for another audience', async () => {
    const token = await tokenOf('audience', { audiences: ['vault'] });
    await expectRefusal(attest('production', token), 'PERMISSION_DENIED', 'TOKEN_UNAUTHENTICATED');
    await expectRefusal(attest('own', token), 'PERMISSION_DENIED', 'TOKEN_UNAUTHENTICATED');
  });

  it('a token of another service account', async () => {
    const options = { namespace, name: 'another', account: 'another', node: 'node-1' };
    const token = await requestToken(kubernetes, { ...options, audiences, pod: await createPod(kubernetes, options) });
    await expectRefusal(attest('production', token), 'PERMISSION_DENIED', 'SERVICE_ACCOUNT_NOT_ALLOWED');
  });

  it('a token that is bound to no pod', async () => {
    const token = await requestToken(kubernetes, { namespace, account, audiences });
    await expectRefusal(attest('production', token), 'PERMISSION_DENIED', 'POD_UNBOUND');
  });

  it('a legacy token from a secret, whatever audience is asked for', async () => {
    const { administrator } = kubernetes;
    const path = `/api/v1/namespaces/${namespace}`;
    const { metadata } = await administrator.call<{ metadata: Placed }>('GET', `${path}/serviceaccounts/${account}`);
    const token = kubernetes.signAccountToken({
      iss: 'kubernetes/serviceaccount',
      sub: `system:serviceaccount:${namespace}:${account}`,
      'kubernetes.io/serviceaccount/namespace': namespace,
      'kubernetes.io/serviceaccount/secret.name': 'legacy',
      'kubernetes.io/serviceaccount/service-account.name': account,
      'kubernetes.io/serviceaccount/service-account.uid': metadata.uid,
    });
    await administrator.call('POST', `${path}/secrets`, {
      metadata: { name: 'legacy', annotations: { 'kubernetes.io/service-account.name': account } },
      type: 'kubernetes.io/service-account-token',
      stringData: { token },
    });
    await expectRefusal(attest('production', token), 'PERMISSION_DENIED', 'TOKEN_UNAUTHENTICATED');
    await expectRefusal(attest('own', token), 'PERMISSION_DENIED', 'POD_UNBOUND');
  });

  it('a token of a pod that was made again, even while the API server remembers the token as good', async () => {
    const token = await tokenOf('again');
    await expect(attest('production', token)).resolves.toBeDefined();
    await deletePod(kubernetes, namespace, 'again');
    await pod('again');
    const error: unknown = await attest('production', token).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(AttestError);
    // Which of the two depends on how long the API server keeps what it once said: ten seconds.
    expect((error as AttestError).refusal).toMatch(/^(POD_REPLACED|TOKEN_UNAUTHENTICATED)$/);
    console.log(`a token of a pod that was made again: ${(error as AttestError).refusal}`);
  });

  it('everything, where it has no rights in the cluster', async () => {
    logged.length = 0;
    const stranger = judge({ production: { ...allowed, kube_config_file: kubernetes.user('stranger').kubeconfig } });
    const attempt = attest('production', await tokenOf('rights'), stranger);
    await expectRefusal(attempt, 'INTERNAL', 'CLUSTER_UNAVAILABLE', /^unable to validate token with TokenReview API/);
    expect(logged).toMatchObject([{ reason: expect.stringContaining('User \\"stranger\\" cannot create') as string }]);
  });
});
