// deploy/ as kustomize and Helm render it: both the same, within the seeds' small clusters, with their names and ports, taken by the API server that judges it in
// earnest (server-side dry run, strict), and its agents' configuration by SPIRE's own agent.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { deploymentFaults, podsOf, readObjects, sumOf } from '../deploy/kubernetes/objects.ts';
import type { KubernetesObject } from '../deploy/kubernetes/objects.ts';
import { podFaults } from '../deploy/kubernetes/pod-rules.ts';
import { definitionFiles, load } from '../support/custom-resources.ts';
import { createNode, createPod, requestToken } from './support/kubernetes-pods.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually, output, run } from './support/processes.ts';
import { prepareHelm, prepareSpireAgent, root } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const chart = join(root, 'deploy/helm/espalier');
const kubeVersion = '1.36.3';

interface Deployment {
  readonly name: string;
  readonly overlay: string;
  readonly values: readonly string[];
  /** Of the seeds' cluster, in MiB. */
  readonly memory: number;
  readonly namespaces: readonly string[];
  readonly nodePorts: Readonly<Record<string, number>>;
  readonly workloads: readonly string[];
}

const enterprise = {
  memory: 3072,
  workloads: ['data-processor', 'enterprise-api', 'security-gateway'],
};
const downstreamPorts = {
  'security-gateway:8080': 30080,
  'spire-downstream-server:8081': 32081,
  'spire-downstream-server:8443': 32443,
};
const upstreamPorts = { 'spire-upstream-server:8081': 31081, 'spire-upstream-server:8443': 31443 };
const basic = {
  memory: 2048,
  namespaces: ['production', 'spire-server', 'spire-system'],
  nodePorts: {},
  workloads: ['inventory-service', 'payment-api', 'user-service'],
};
const deployments: readonly Deployment[] = [
  { name: 'basic', overlay: 'basic', values: ['basic'], ...basic },
  { name: 'basic, restricted', overlay: 'basic-restricted', values: ['basic', 'basic-restricted'], ...basic },
  {
    name: 'enterprise, federated, upstream',
    overlay: 'enterprise-federated/upstream',
    values: ['enterprise-federated-upstream'],
    ...enterprise,
    namespaces: ['spire-upstream'],
    nodePorts: upstreamPorts,
    workloads: [],
  },
  {
    name: 'enterprise, federated, downstream',
    overlay: 'enterprise-federated/downstream',
    values: ['enterprise-federated-downstream'],
    ...enterprise,
    namespaces: ['downstream-workloads', 'spire-downstream'],
    nodePorts: downstreamPorts,
  },
  {
    name: 'enterprise, nested, upstream',
    overlay: 'enterprise-nested/upstream',
    values: ['enterprise-nested-upstream'],
    ...enterprise,
    namespaces: ['spire-upstream'],
    nodePorts: upstreamPorts,
    workloads: [],
  },
  {
    name: 'enterprise, nested, downstream',
    overlay: 'enterprise-nested/downstream',
    values: ['enterprise-nested-downstream'],
    ...enterprise,
    // The upstream's agent has one of its own, beside the seeds'.
    namespaces: ['downstream-workloads', 'spire-downstream', 'spire-upstream'],
    nodePorts: downstreamPorts,
  },
  {
    name: 'CRD-free',
    overlay: 'crd-free',
    values: ['crd-free'],
    memory: 3072,
    namespaces: ['production', 'spire-system'],
    nodePorts: {},
    workloads: ['data-processor', 'enterprise-api'],
  },
];
/** What minikube's own pods request. */
const kubeSystem = { cpu: 850, memory: 400 };

const applied = { contentType: 'application/apply-patch+yaml' };

const stage = createStage();
let helm: string;
let spireAgent: string;
let kubernetes: Kubernetes;
const rendered = new Map<string, { kustomize: KubernetesObject[]; helm: KubernetesObject[] }>();

const template = (values: readonly string[], extra: readonly string[] = []) => [
  ...['template', 'espalier', chart, '--kube-version', kubeVersion],
  ...values.flatMap((name) => ['--values', join(chart, 'deployments', `${name}.yaml`)]),
  ...extra,
];
const objectsOf = (name: string) => {
  const found = rendered.get(name);
  if (found === undefined) throw new Error(`${name} is not rendered`);
  return found;
};

beforeAll(async () => {
  helm = await prepareHelm();
  spireAgent = await prepareSpireAgent();
  for (const { name, overlay, values } of deployments) {
    const kustomize = readObjects(await output('kubectl', ['kustomize', join(root, 'deploy/kubernetes', overlay)]));
    rendered.set(name, { kustomize, helm: readObjects(await output(helm, template(values))) });
  }
  kubernetes = stage.add(await startKubernetes(stage));
  await installDefinitions();
  const namespaces = new Set(deployments.flatMap((deployment) => deployment.namespaces));
  for (const namespace of namespaces)
    await kubernetes.administrator.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
});
afterAll(() => stage.strike());

/** Those of SPIRE's controller manager, which the deployments with custom resources are installed upon. */
async function installDefinitions(): Promise<void> {
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const files = definitionFiles().filter((path) => path.includes('/spire.spiffe.io_'));
  expect(files).not.toEqual([]);
  for (const file of files) await kubernetes.administrator.call('POST', definitions, load(file));
  await eventually('ClusterSPIFFEIDs are served', () =>
    kubernetes.administrator.call('GET', '/apis/spire.spiffe.io/v1alpha1/clusterspiffeids'),
  );
}

describe.each(deployments)('the deployment $name', ({ name, memory, namespaces, nodePorts, workloads, values }) => {
  it('is the same by kustomize and by Helm', () => {
    const { kustomize, helm: byHelm } = objectsOf(name);
    expect(sorted(byHelm)).toEqual(sorted(kustomize));
  });

  it('says all that its parts leave to it', () => {
    expect(JSON.stringify(objectsOf(name).kustomize)).not.toContain('to-be-said');
  });

  it('keeps to the rules', () => {
    const { kustomize } = objectsOf(name);
    expect(deploymentFaults(kustomize)).toEqual([]);
    expect(podsOf(kustomize).flatMap(({ spec }) => podFaults(spec))).toEqual([]);
  });

  it('has the seeds’ names and ports', () => {
    const { kustomize } = objectsOf(name);
    const namesOf = (kind: string) =>
      kustomize.filter((object) => object.kind === kind).map((object) => object.metadata.name);
    expect(namesOf('Namespace').sort()).toEqual(namespaces);
    expect(namesOf('Deployment').sort()).toEqual(workloads);
    const ports = kustomize.flatMap(({ kind, metadata, spec }) =>
      kind === 'Service' ? (spec?.ports ?? []).map(({ port, nodePort }) => [`${metadata.name}:${port}`, nodePort]) : [],
    );
    expect(Object.fromEntries(ports.filter(([, nodePort]) => nodePort !== undefined))).toEqual(nodePorts);
  });

  it('fits its cluster beside what Kubernetes itself takes', () => {
    const { kustomize } = objectsOf(name);
    const requests = sumOf(kustomize, 'requests');
    expect(requests.cpu).toBeLessThanOrEqual(2000 - kubeSystem.cpu);
    expect(requests.memory).toBeLessThanOrEqual(memory - kubeSystem.memory);
    expect(sumOf(kustomize, 'limits').memory).toBeLessThanOrEqual(memory);
  });

  it('is taken by the API server, strictly', async () => {
    const refused: string[] = [];
    for (const object of objectsOf(name).kustomize) {
      const { kind, metadata } = object;
      const asked = `${pathOf(object)}?dryRun=All&fieldValidation=Strict&fieldManager=deploy&force=true`;
      await kubernetes.administrator
        .call('PATCH', asked, object, applied)
        .catch((refusal: unknown) => refused.push(`${kind} ${metadata.name}: ${(refusal as Error).message}`));
    }
    // The definitions of Prometheus' operator are not here.
    const unknown = refused.filter((message) => message.startsWith('ServiceMonitor ') && message.includes('404'));
    expect(refused.filter((message) => !unknown.includes(message))).toEqual([]);
    expect(unknown).toHaveLength(name === 'basic, restricted' ? 2 : 0);
  });

  it('has agents whose configuration SPIRE’s own agent takes', async () => {
    const configurations = objectsOf(name).kustomize.flatMap(({ data }) => data?.['agent.conf'] ?? []);
    const agents = values.some((value) => value.endsWith('-upstream'))
      ? 0
      : name.endsWith('nested, downstream')
        ? 2
        : 1;
    expect(configurations).toHaveLength(agents);
    mkdirSync(stage.directory, { recursive: true });
    for (const [at, text] of configurations.entries()) {
      const path = join(stage.directory, `agent-${at}.conf`);
      writeFileSync(path, text);
      const said = await run(spireAgent, ['validate', '-expandEnv', '-config', path], {
        env: { METRICS_HOST: '127.0.0.1' },
      });
      expect(said).toMatchObject({ code: 0 });
    }
  });
});

describe('pod security', () => {
  // Whole and not by dry run, as the admission of a pod looks at its namespace and its account.
  it.each(['basic', 'basic, restricted'])('lets every pod of the deployment %s into its namespace', async (name) => {
    const objects = objectsOf(name).kustomize;
    const administrator = kubernetes.administrator;
    for (const object of objects.filter(({ kind }) => kind === 'Namespace' || kind === 'ServiceAccount'))
      await administrator.call('PATCH', `${pathOf(object)}?fieldManager=deploy&force=true`, object, applied);
    for (const { metadata, spec } of objects.filter((object) => object.spec?.template !== undefined)) {
      const { labels } = spec!.template!.metadata;
      const claims = 'volumeClaimTemplates' in spec! ? [{ name: 'data', emptyDir: {} }] : [];
      const pod = {
        metadata: { name: 'tried', labels },
        spec: { ...spec!.template!.spec, volumes: [...(spec!.template!.spec.volumes ?? []), ...claims] },
      };
      await administrator.call('POST', `/api/v1/namespaces/${metadata.namespace}/pods?dryRun=All`, pod);
    }
  });

  it('keeps a pod with a directory of the host out of a restricted namespace', async () => {
    const [workload] = objectsOf('basic').kustomize.filter(({ kind }) => kind === 'Deployment');
    const { metadata, spec } = workload!.spec!.template!;
    await kubernetes.administrator.call(
      'PATCH',
      '/api/v1/namespaces/production?fieldManager=deploy&force=true',
      objectsOf('basic, restricted').kustomize.find((object) => object.metadata.name === 'production'),
      {
        contentType: 'application/apply-patch+yaml',
      },
    );
    const pod = { metadata: { name: 'tried', labels: metadata.labels }, spec };
    const asked = kubernetes.administrator.call('POST', '/api/v1/namespaces/production/pods?dryRun=All', pod);
    await expect(asked).rejects.toThrow('hostPath');
  });
});

describe('the deployment without CRDs', () => {
  it('has no definitions, no server, and no rights over the cluster but these', () => {
    const objects = objectsOf('CRD-free').kustomize;
    const kinds = new Set(objects.map(({ kind }) => kind));
    expect(kinds).not.toContain('CustomResourceDefinition');
    expect(kinds).not.toContain('StatefulSet');
    expect(objects.filter(({ kind }) => kind === 'ClusterRole').flatMap(({ rules }) => rules)).toEqual([
      { apiGroups: [''], resources: ['nodes/pods'], verbs: ['get'] },
      { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
      { apiGroups: [''], resources: ['nodes'], verbs: ['get'] },
    ]);
  });
});

describe('rights', () => {
  interface Asked {
    readonly verb: string;
    readonly group?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  }
  const may = async (account: string, asked: Asked): Promise<boolean> => {
    const body = { spec: { user: `system:serviceaccount:${account}`, resourceAttributes: asked } };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const { status } = await kubernetes.administrator.call<{ status: { allowed: boolean } }>('POST', path, body);
    return status.allowed;
  };
  const server = 'spire-server:spire-server';
  const agent = 'spire-system:spire-agent';
  const bundle: Asked = { verb: 'patch', resource: 'configmaps', namespace: 'spire-system', name: 'spire-bundle' };

  beforeAll(async () => {
    const kinds = [
      'Namespace',
      'ServiceAccount',
      'ConfigMap',
      'Role',
      'RoleBinding',
      'ClusterRole',
      'ClusterRoleBinding',
    ];
    for (const object of objectsOf('basic').kustomize.filter(({ kind }) => kinds.includes(kind)))
      await kubernetes.administrator.call('PATCH', `${pathOf(object)}?fieldManager=deploy&force=true`, object, applied);
  });

  it.each<[string, Asked]>([
    [server, { verb: 'create', group: 'authentication.k8s.io', resource: 'tokenreviews' }],
    [server, { verb: 'get', resource: 'nodes', name: 'any' }],
    [server, { verb: 'get', resource: 'pods', namespace: 'spire-system', name: 'any' }],
    [server, bundle],
    // Of registration, which runs beside the server.
    [server, { verb: 'watch', resource: 'pods', namespace: 'production' }],
    [
      server,
      {
        verb: 'update',
        group: 'coordination.k8s.io',
        resource: 'leases',
        namespace: 'spire-server',
        name: 'espalier-registration',
      },
    ],
    [agent, { verb: 'get', resource: 'nodes', subresource: 'pods', name: 'any' }],
  ])('give %s what it needs: %o', async (account, asked) => {
    expect(await may(account, asked)).toBe(true);
  });

  it.each<[string, Asked]>([
    [server, { verb: 'get', resource: 'pods', namespace: 'spire-server', name: 'any' }],
    [server, { verb: 'list', resource: 'pods' }],
    [server, { verb: 'get', resource: 'secrets', namespace: 'spire-server', name: 'spire-database' }],
    [server, { ...bundle, name: 'other' }],
    [server, { ...bundle, verb: 'create' }],
    [server, { verb: 'create', resource: 'pods', namespace: 'production' }],
    [agent, { verb: 'get', resource: 'nodes', subresource: 'proxy', name: 'any' }],
    [agent, { verb: 'get', resource: 'pods', namespace: 'production', name: 'any' }],
    [agent, { verb: 'get', resource: 'secrets', namespace: 'spire-system', name: 'any' }],
    ['spire-server:spire-db', { verb: 'get', resource: 'pods', namespace: 'spire-server', name: 'any' }],
    ['production:user-service', { verb: 'get', resource: 'pods', namespace: 'production', name: 'any' }],
  ])('do not give %s what it does not: %o', async (account, asked) => {
    expect(await may(account, asked)).toBe(false);
  });
});

describe('the deployment basic', () => {
  it('attests an agent and gives it its bundle, with no other rights than these', async () => {
    const [namespace, account, name] = ['spire-system', 'spire-agent', 'spire-agent-x'];
    const node = await createNode(kubernetes, 'node-1');
    const pod = await createPod(kubernetes, { namespace, name, account, node: 'node-1' });
    const tokenPath = join(stage.directory, 'agent.token');
    const token = await requestToken(kubernetes, { namespace, account, audiences: ['spire-server'], pod });
    writeFileSync(tokenPath, token, { mode: 0o600 });

    const { kubeconfig } = kubernetes.user('system:serviceaccount:spire-server:spire-server');
    const written = objectsOf('basic')
      .kustomize.flatMap(({ data }) => data?.['server.conf'] ?? [])
      .join('');
    const [, plugins = ''] = /^( {2}NodeAttestor [^]*?)^}/m.exec(written) ?? [];
    // Whom a pod is to the API server comes from its account; this server is in none.
    const placed = plugins
      .replace('audience = ["spire-server"]', (line) => `${line} kube_config_file = "${kubeconfig}"`)
      .replace('format = "pem"', (line) => `${line} kubeconfig_path = "${kubeconfig}"`);
    const server = await stage.server({ name: 'deployed', plugins: placed });
    const id = `spiffe://example.org/spire/agent/k8s_psat/workload-cluster/${node.uid}`;
    const block = `NodeAttestor "k8s_psat" { plugin_data { cluster = "workload-cluster" token_path = "${tokenPath}" } }`;
    await stage.agent({ name: 'deployed-a', server, attestor: { block, id } });

    expect(await server.operate('agent', 'show', '-spiffeID', id)).toContain('k8s_psat');
    const bundle = '/api/v1/namespaces/spire-system/configmaps/spire-bundle';
    const published = await kubernetes.administrator.call<{ data: Record<string, string> }>('GET', bundle);
    expect(published.data['bundle.crt']?.trim()).toBe((await server.bundlePem()).trim());
  });
});

describe('the chart', () => {
  it.each([
    ['a key that it does not know', ['--set', 'server.replica=2'], 'additional properties'],
    ['a NodePort that is none', ['--set', 'server.nodePorts.grpc=8081'], '/server/nodePorts/grpc'],
    ['an image without a version', ['--set', 'database.image=postgres'], '/database/image'],
    ['no trust domain', ['--set', 'global.spire.trustDomain='], 'global.spire.trustDomain must be said'],
    ['no database at all', ['--set', 'database.enabled=false'], 'database.connectionString must be said'],
    ['an older Kubernetes', ['--kube-version', '1.32.0'], 'kubeVersion'],
  ])('refuses %s', async (_what, extra, message) => {
    const { code, stderr } = await run(helm, template(['basic'], extra));
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
  });

  it('deploys nothing but what it is asked for', async () => {
    expect(readObjects(await output(helm, template([])))).toEqual([]);
  });

  it('takes a database of yours, of which it deploys nothing', async () => {
    const connection = 'postgres://spire:${DATABASE_PASSWORD}@db.example.org:5432/spire?sslmode=verify-full';
    const objects = readObjects(
      await output(
        helm,
        template(['basic'], ['--set', 'database.enabled=false', '--set', `database.connectionString=${connection}`]),
      ),
    );
    expect(objects.filter(({ metadata }) => metadata.name === 'spire-db')).toEqual([]);
    const config = objects.find(({ metadata }) => metadata.name === 'spire-server-config');
    expect(config?.data?.['server.conf']).toContain(`connection_string = "${connection}"`);
  });
});

/** Where Kubernetes keeps an object of ours. */
function pathOf({ apiVersion, kind, metadata }: KubernetesObject): string {
  const group = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const namespace = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`;
  return `${group}${namespace}/${plural}/${metadata.name}`;
}

/** Without what one of the two has for reasons of its own: kustomize the digest in a ConfigMap's name, Helm the same as an annotation, and the pull policy. */
function sorted(objects: readonly KubernetesObject[]): unknown[] {
  const text = JSON.stringify(objects).replaceAll(/-config-[a-z0-9]{10}\b/g, '-config');
  const same = (JSON.parse(text) as KubernetesObject[]).map((object) => {
    const pod = object.spec?.template as
      { metadata: { annotations?: unknown }; spec: { containers: { imagePullPolicy?: unknown }[] } } | undefined;
    delete pod?.metadata.annotations;
    for (const container of pod?.spec.containers ?? []) delete container.imagePullPolicy;
    const registration = object.data?.['registration.yaml'];
    if (registration !== undefined) return { ...object, data: parse(registration) as Record<string, string> };
    return object;
  });
  const key = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.namespace ?? ''} ${metadata.name}`;
  return same.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
