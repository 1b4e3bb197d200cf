// deploy/kubernetes applied by kubectl, and its pods run: our programs by their manifests' commands, users, capabilities, limits, volumes and probes, on the real
// API server and its controllers. Scheduler, kubelet and images are STAND-INS (support/kubernetes-nodes). Needs root.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { only, startDeployed } from './support/deployed.ts';
import type { Deployed } from './support/deployed.ts';
import type { Pod } from './support/kubernetes-nodes/objects.ts';
import { eventually } from './support/processes.ts';
import { root } from './support/programs.ts';
import { accountKubeconfig, entriesOf, startRegistration } from './support/registration.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 150_000;

interface Agents {
  readonly agents: readonly { readonly attestation_type: string; readonly id: { readonly path: string } }[];
}
interface Entries {
  readonly entries: readonly { readonly selectors: readonly { readonly value: string }[] }[];
}
const nodeUid = async ({ kubernetes }: Deployed): Promise<string> =>
  (await kubernetes.administrator.call<{ metadata: { uid: string } }>('GET', '/api/v1/nodes/node-1')).metadata.uid;

describe('the deployment basic', () => {
  const stage = createStage();
  const workloads = ['user-service', 'payment-api', 'inventory-service'];
  const id = (name: string): string => `spiffe://example.org/ns/production/sa/${name}`;
  let cluster: Deployed;

  beforeAll(async () => {
    cluster = await startDeployed({ stage, name: 'basic', patienceMs });
    await cluster.startNodes();
  });
  afterAll(() => stage.strike());

  const operate = <T>(...command: string[]) => cluster.operate<T>('spire-server', 'spire-server-0', ...command);
  const podOf = async (name: string): Promise<Pod> => only(await cluster.podsOf('production', name));
  const entriesFor = async ({ metadata }: Pod) => {
    const { entries } = await operate<Entries>('entry', 'show');
    return entries.filter(({ selectors }) => selectors.some(({ value }) => value === `pod-uid:${metadata.uid}`));
  };

  it('becomes ready, all of it', async () => {
    await cluster.apply('basic', ['spire-server']);
    await cluster.ready('spire-server', 'spire-database');
    await cluster.ready('spire-server', 'spire-server');
    await cluster.ready('spire-system', 'spire-agent');
    for (const name of workloads) await cluster.ready('production', name);
  });

  it('has an agent that was attested by its pod', async () => {
    const { agents } = await operate<Agents>('agent', 'list');
    expect(agents.map((agent) => [agent.attestation_type, agent.id.path])).toEqual([
      ['k8s_psat', `/spire/agent/k8s_psat/workload-cluster/${await nodeUid(cluster)}`],
    ]);
  });

  it('has workloads that meet in mutual TLS, as their peers say', async () => {
    const [user, payment, inventory] = await Promise.all(workloads.map(podOf));
    const toPayment = await cluster.call(user!, 'payment-api:80', id('payment-api'));
    expect(toPayment).toMatchObject({ self: id('user-service'), peer: id('payment-api') });
    const toInventory = await cluster.call(payment!, 'inventory-service:80', id('inventory-service'));
    expect(toInventory).toMatchObject({ self: id('payment-api'), peer: id('inventory-service') });
    await expect(cluster.call(inventory!, 'payment-api:80', id('payment-api'))).rejects.toThrow();
  });

  it('keeps its programs to what the manifests let them do', async () => {
    const script =
      'id -u; id -g; touch /x || touch /opt/espalier/x || touch /tmp/x; grep -hE "^(CapBnd|NoNewPrivs)" /proc/self/status';
    for (const [pod, user] of [
      ['spire-server-0', 65_532],
      ['spire-db-0', 999],
    ] as const) {
      const container = pod === 'spire-db-0' ? 'postgres' : 'spire-server';
      const { stdout, stderr } = await cluster.exec('spire-server', pod, container, ['/bin/sh', '-c', script]);
      expect(stdout).toBe(`${user}\n${user}\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n`);
      expect(stderr.match(/Read-only file system|No such file/g)).toHaveLength(2);
    }
  });

  it('tells of its pods on the node nobody who may not know', async () => {
    const { metadata } = only(await cluster.podsOf('spire-system', 'spire-agent'));
    const ask = async (...headers: string[]) => {
      const curl = ['curl', '-sk', '-o', '/dev/null', '-w', '%{http_code}', ...headers.flatMap((one) => ['-H', one])];
      const words = [...curl, 'https://127.0.0.1:10250/pods'];
      return (await cluster.exec('spire-system', metadata.name, 'spire-agent', words)).stdout;
    };
    const tokenOf = (account: string) => cluster.kubectl('-n', 'production', 'create', 'token', account);
    expect(await ask()).toBe('401');
    expect(await ask(`authorization: Bearer ${(await tokenOf('user-service')).trim()}`)).toBe('403');
  });

  it('loses the entry of a pod that is deleted, and has one for the pod that follows', async () => {
    const before = await podOf('user-service');
    expect(await entriesFor(before)).toHaveLength(1);
    await cluster.kubectl('-n', 'production', 'delete', 'pod', before.metadata.name);
    const deleted = Date.now();
    await eventually('its entry is gone', async () => expect(await entriesFor(before)).toEqual([]), patienceMs);
    console.log(`entry gone ${Date.now() - deleted} ms after its pod`);
    const after = only(await cluster.ready('production', 'user-service'));
    expect(await entriesFor(after)).toHaveLength(1);
  });

  it('keeps its authority when the server’s pod is made again', async () => {
    const bundle = () => operate<{ x509_authorities: readonly { asn1: string }[] }>('bundle', 'show');
    const before = await bundle();
    expect(before.x509_authorities).toHaveLength(1);
    const { metadata } = only(await cluster.podsOf('spire-server', 'spire-server'));
    await cluster.kubectl('-n', 'spire-server', 'delete', 'pod', 'spire-server-0');
    const after = only(await cluster.ready('spire-server', 'spire-server'));
    expect(after.metadata.uid).not.toBe(metadata.uid);
    expect((await bundle()).x509_authorities).toEqual(before.x509_authorities);
  });
});

describe('the deployment without CRDs', () => {
  const stage = createStage();
  const id = (name: string): string => `spiffe://company.com/${name}`;
  let cluster: Deployed;
  let server: SpireServer;

  beforeAll(async () => {
    cluster = await startDeployed({ stage, name: 'crd-free', patienceMs });
    await cluster.apply('crd-free', []);
    const kubeconfigFor = (account: string) =>
      accountKubeconfig(cluster.kubernetes, { namespace: 'spire-system', account, path: join(stage.directory, account) }); // prettier-ignore
    const kubeconfig = await kubeconfigFor('spire-server');
    const plugins = `
      NodeAttestor "k8s_psat" { plugin_data { clusters = { "workload-cluster" = {
        service_account_allow_list = ["spire-system:spire-agent"] audience = ["spire-server"] kube_config_file = "${kubeconfig}" } } } }
      BundlePublisher "k8s_configmap" { plugin_data { clusters = { "workload-cluster" = {
        namespace = "spire-system" configmap_name = "spire-bundle" configmap_key = "bundle.crt" format = "pem" kubeconfig_path = "${kubeconfig}" } } } }`;
    server = await stage.server({ name: 'company', trustDomain: 'company.com', plugins });
    const config = parse(readFileSync(join(root, 'deploy/kubernetes/crd-free/registration.yaml'), 'utf8')) as {
      clusters: object[];
    };
    stage.add(
      startRegistration(stage.directory, 'registration', {
        ...config,
        server: { socket: server.socketPath },
        health: '127.0.0.1:0',
        clusters: [{ ...config.clusters[0], kubeconfig: await kubeconfigFor('spire-registration') }],
      }),
    );
    await cluster.startNodes({ outside: { 'spire-server.company.com': { 8081: server.port } } });
  });
  afterAll(() => stage.strike());

  it('becomes ready below servers outside, all of it', async () => {
    await cluster.ready('spire-system', 'spire-agent');
    for (const name of ['enterprise-api', 'data-processor']) await cluster.ready('production', name);
    const { agents } = JSON.parse(await server.operate('agent', 'list', '-output', 'json')) as Agents;
    const path = `/spire/agent/k8s_psat/workload-cluster/${await nodeUid(cluster)}`;
    expect(agents.map((agent) => agent.id.path)).toEqual([path]);
    const ids = (await entriesOf(server)).map(({ spiffeId }) => spiffeId);
    expect(ids).toEqual(expect.arrayContaining([id('enterprise-api'), id('data-processor')]));
  });

  it('has workloads that meet in mutual TLS, both ways', async () => {
    const [api, processor] = [
      only(await cluster.podsOf('production', 'enterprise-api')),
      only(await cluster.podsOf('production', 'data-processor')),
    ];
    const there = await cluster.call(api, 'data-processor:80', id('data-processor'));
    expect(there).toMatchObject({ self: id('enterprise-api'), peer: id('data-processor') });
    const back = await cluster.call(processor, 'enterprise-api:80', id('enterprise-api'));
    expect(back).toMatchObject({ self: id('data-processor'), peer: id('enterprise-api') });
  });
});
