// What a test puts into a cluster by hand, because no kubelet does: a node, pods on it, and tokens that are bound to them.
import type { Kubernetes } from './kubernetes.ts';

export interface Placed {
  readonly name: string;
  readonly uid: string;
}

const namespacePath = (namespace: string): string => `/api/v1/namespaces/${namespace}`;

interface Created {
  readonly metadata: Placed;
}

export async function createNamespace({ administrator }: Kubernetes, name: string, accounts: readonly string[]) {
  await administrator.call('POST', '/api/v1/namespaces', { metadata: { name } });
  for (const account of accounts)
    await administrator.call('POST', `${namespacePath(name)}/serviceaccounts`, { metadata: { name: account } });
}

export async function createNode(
  { administrator }: Kubernetes,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<Placed> {
  const { metadata } = await administrator.call<Created>('POST', '/api/v1/nodes', { metadata: { name, labels } });
  return metadata;
}

export interface PodOptions {
  readonly namespace: string;
  readonly name: string;
  readonly account: string;
  readonly node: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** As if the scheduler had placed it, and its kubelet had told of it. */
export async function createPod(
  { administrator }: Kubernetes,
  { namespace, name, account, node, labels = {} }: PodOptions,
): Promise<Placed> {
  const path = `${namespacePath(namespace)}/pods`;
  const { metadata } = await administrator.call<Created>('POST', path, {
    metadata: { name, labels },
    spec: { nodeName: node, serviceAccountName: account, containers: [{ name: 'main', image: 'example.org/main:1' }] },
  });
  const status = { hostIP: '192.0.2.7', hostIPs: [{ ip: '192.0.2.7' }], phase: 'Running' };
  const contentType = 'application/merge-patch+json';
  await administrator.call('PATCH', `${path}/${name}/status`, { status }, { contentType });
  return metadata;
}

export async function deletePod({ administrator }: Kubernetes, namespace: string, name: string): Promise<void> {
  await administrator.call('DELETE', `${namespacePath(namespace)}/pods/${name}?gracePeriodSeconds=0`);
}

export interface TokenOptions {
  readonly namespace: string;
  readonly account: string;
  readonly audiences: readonly string[];
  /** What it ends with; a token that is bound to nothing where left out. */
  readonly pod?: Placed;
}

export async function requestToken(
  { administrator }: Kubernetes,
  { namespace, account, audiences, pod }: TokenOptions,
): Promise<string> {
  const bound = pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...pick(pod) } };
  const answer = await administrator.call<{ status: { token: string } }>(
    'POST',
    `${namespacePath(namespace)}/serviceaccounts/${account}/token`,
    { spec: { audiences, expirationSeconds: 600, ...bound } },
  );
  return answer.status.token;
}

const pick = ({ name, uid }: Placed): Placed => ({ name, uid });

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** In the whole cluster. */
export async function allow({ administrator }: Kubernetes, user: string, rules: readonly Rule[]): Promise<void> {
  const group = 'rbac.authorization.k8s.io';
  const metadata = { name: user };
  await administrator.call('POST', `/apis/${group}/v1/clusterroles`, { metadata, rules });
  const roleRef = { apiGroup: group, kind: 'ClusterRole', name: user };
  const subjects = [{ apiGroup: group, kind: 'User', name: user }];
  await administrator.call('POST', `/apis/${group}/v1/clusterrolebindings`, { metadata, roleRef, subjects });
}
