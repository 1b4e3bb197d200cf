// `espalier registration` as a process, with the rights that deploy/ gives it in real API servers, and what its tests put there and look for.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import type { Kubernetes } from './kubernetes.ts';
import { eventually, output, start } from './processes.ts';
import type { Program } from './processes.ts';
import { root } from './programs.ts';
import type { SpireServer } from './server.ts';

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: { readonly names?: { readonly plural?: string } };
}

export const documentsIn = (path: string): KubernetesObject[] =>
  parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS() as KubernetesObject);

/** The controller manager's own definitions. */
export async function installDefinitions({ administrator }: Kubernetes): Promise<void> {
  const directory = process.env['CRDS_DIR'];
  if (directory === undefined || directory === '')
    throw new Error('CRDS_DIR names no folder: the definitions are there');
  for (const file of readdirSync(join(directory, 'spire'))) {
    const [definition] = documentsIn(join(directory, 'spire', file));
    if (definition?.metadata.name.startsWith('cluster') !== true) continue;
    await administrator.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    const path = `/apis/spire.spiffe.io/v1alpha1/${definition.spec?.names?.plural ?? ''}`;
    await eventually(`${path} is served`, () => administrator.call('GET', path));
  }
}

const groups: Readonly<Record<string, string>> = {
  ServiceAccount: '/api/v1/namespaces/NAMESPACE/serviceaccounts',
  Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/NAMESPACE/roles',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/NAMESPACE/rolebindings',
  ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
};

/** What the file of deploy/ says, in that namespace, as kustomize would put it there. Strict: an unknown field is refused. */
export async function applyRights(kubernetes: Kubernetes, file: string, namespace: string): Promise<void> {
  for (const object of documentsIn(join(root, 'deploy/kubernetes/registration', file))) {
    const path = groups[object.kind]?.replace('NAMESPACE', namespace);
    if (path === undefined) throw new Error(`${object.kind} is not among the rights`);
    const body = JSON.parse(JSON.stringify(object), (key, value: unknown) =>
      key === 'subjects' && Array.isArray(value) ? value.map((one: object) => ({ ...one, namespace })) : value,
    ) as object;
    await kubernetes.administrator.call('POST', `${path}?fieldValidation=Strict`, body);
  }
}

export interface AccountOptions {
  readonly namespace: string;
  readonly account: string;
  /** Where the file is to be. */
  readonly path: string;
  /** Another way to the API server. */
  readonly url?: string;
}

/** A kubeconfig with a token of the account, and nothing else. */
export async function accountKubeconfig(
  { administrator, url: own, caPath }: Kubernetes,
  { namespace, account, path, url = own }: AccountOptions,
): Promise<string> {
  const answer = await administrator.call<{ status: { token: string } }>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
    { spec: { expirationSeconds: 3600 } },
  );
  const ca = readFileSync(caPath).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    // Not the CA's path: the file may be read elsewhere.
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': ca } }],
    users: [{ name: 'test', user: { token: answer.status.token } }],
  };
  writeFileSync(path, stringify(config), { mode: 0o600 });
  return path;
}

const launcher = join(root, 'bin/espalier');

export function startRegistration(
  directory: string,
  name: string,
  config: object,
  flags: readonly string[] = [],
): Program {
  const configPath = writeConfig(directory, name, config);
  const logPath = join(directory, `${name}.log`);
  return start(launcher, ['registration', '--config', configPath, ...flags], { logPath });
}

/** What it would do. */
export function rehearse(directory: string, name: string, config: object): Promise<string> {
  const flags = ['--config', writeConfig(directory, name, config), '--dry-run', '--once'];
  return output(launcher, ['registration', ...flags]);
}

function writeConfig(directory: string, name: string, config: object): string {
  const path = join(directory, `${name}.yaml`);
  writeFileSync(path, stringify(config), { mode: 0o600 });
  return path;
}

export interface ShownEntry {
  readonly id: string;
  readonly spiffeId: string;
  readonly parentId: string;
  readonly selectors: readonly string[];
  readonly dnsNames: readonly string[];
  readonly federatesWith: readonly string[];
  readonly hint: string;
}

interface WireId {
  readonly trust_domain: string;
  readonly path: string;
}

interface WireEntry {
  readonly id: string;
  readonly spiffe_id: WireId;
  readonly parent_id: WireId;
  readonly selectors: readonly { readonly type: string; readonly value: string }[];
  readonly dns_names: readonly string[];
  readonly federates_with: readonly string[];
  readonly hint: string;
}

export async function entriesOf(server: SpireServer): Promise<ShownEntry[]> {
  const text = await server.operate('entry', 'show', '-output', 'json');
  const { entries } = JSON.parse(text) as { readonly entries: readonly WireEntry[] };
  const idText = ({ trust_domain, path }: WireId): string => `spiffe://${trust_domain}${path}`;
  return entries.map((entry) => ({
    id: entry.id,
    spiffeId: idText(entry.spiffe_id),
    parentId: idText(entry.parent_id),
    selectors: entry.selectors.map(({ type, value }) => `${type}:${value}`),
    dnsNames: entry.dns_names,
    federatesWith: entry.federates_with,
    hint: entry.hint,
  }));
}
