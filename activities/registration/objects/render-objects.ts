// The entries that labels and annotations ask for, of one cluster whose nodes cannot be read. A pod's parent is therefore an alias of its node, which the
// cluster's agents get by their selectors `k8s_psat:cluster` and `k8s_psat:agent_node_name`: rights in namespaces are enough.
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { checkPathSegment } from '../../../runtime/spiffe/id-text.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { declarerOf } from '../custom-resources/declarers.ts';
import { keyed, nameOf } from '../entries/wanted-entry.ts';
import type { DeclaredEntry, RegistrationFault, WantedEntry } from '../entries/wanted-entry.ts';
import type { Template } from '../template/template.ts';
import { dataOf, metaOf, podSpecOf } from './go-fields.ts';
import { annotations, readRequest, wantsRegistration } from './annotations.ts';
import type { Pod, ServiceAccount } from './kubernetes-objects.ts';
import { checkDnsNames, checkFederatesWith, chooseTemplate, grantId } from './namespace-rights.ts';
import type { NamespaceRights } from './namespace-rights.ts';

export interface ObjectRules {
  readonly trustDomain: string;
  readonly clusterName: string;
  readonly clusterDomain: string;
  readonly namespaces: readonly NamespaceRights[];
  readonly templates: ReadonlyMap<string, Template>;
}

export interface NamespaceObjects {
  readonly pods: readonly Pod[];
  readonly serviceAccounts: readonly ServiceAccount[];
}

export interface RenderedObjects {
  readonly declared: readonly DeclaredEntry[];
  readonly faults: readonly RegistrationFault[];
}

type Result = { readonly entry: WantedEntry | undefined } | { readonly fault: RegistrationFault };

export function createObjectRenderer(rules: ObjectRules): (objects: NamespaceObjects) => RenderedObjects {
  const rights = new Map(rules.namespaces.map((one) => [one.namespace, one]));
  const memory = new WeakMap<Pod, { readonly account: ServiceAccount | undefined; readonly result: Result }>();

  return ({ pods, serviceAccounts }) => {
    const accounts = new Map(
      serviceAccounts.map((one) => [`${one.metadata.namespace ?? ''}/${one.metadata.name}`, one]),
    );
    const declared: DeclaredEntry[] = [];
    const faults: RegistrationFault[] = [];
    const aliases = new Map<string, DeclaredEntry>();
    for (const pod of pods) {
      const account = accounts.get(`${pod.metadata.namespace ?? ''}/${pod.spec.serviceAccountName ?? ''}`);
      const result = known(pod, account);
      if ('fault' in result) faults.push(result.fault);
      if (!('entry' in result) || result.entry === undefined) continue;
      const { nodeName = '' } = pod.spec;
      if (!aliases.has(nodeName))
        aliases.set(nodeName, { entry: aliasEntry(rules, nodeName), by: nodeDeclarer(rules, nodeName) });
      declared.push({ entry: result.entry, by: declarerOf(rules.clusterName, 'Pod', pod) });
    }
    return { declared: [...aliases.values(), ...declared], faults };
  };

  function known(pod: Pod, account: ServiceAccount | undefined): Result {
    const before = memory.get(pod);
    if (before !== undefined && before.account === account) return before.result;
    const result = render(pod, account);
    memory.set(pod, { account, result });
    return result;
  }

  /** No entry where the pod does not ask for one, or is on no node yet. */
  function render(pod: Pod, account: ServiceAccount | undefined): Result {
    const its = rights.get(pod.metadata.namespace ?? '');
    if (its === undefined || (pod.spec.nodeName ?? '') === '' || !wantsRegistration(pod, account))
      return { entry: undefined };
    try {
      return { entry: podEntry(rules, its, pod, account) };
    } catch (cause) {
      const by = nameOf(declarerOf(rules.clusterName, 'Pod', pod));
      return { fault: { by, field: 'metadata.annotations', reason: (cause as Error).message } };
    }
  }
}

function podEntry(
  rules: ObjectRules,
  its: NamespaceRights,
  pod: Pod,
  account: ServiceAccount | undefined,
): WantedEntry {
  const request = readRequest(pod, account);
  checkDnsNames(its, request);
  checkFederatesWith(its, request);
  const container = request.container;
  if (container !== undefined && !containerNames(pod).includes(container))
    throw new Error(`${annotations.container}: the pod has no container ${JSON.stringify(container)}`);
  const template = chooseTemplate(its, request.template, rules.templates);
  // A value is one segment of the path: with a slash of its own it would climb into somebody else's place.
  const path = template.render(dataFor(rules, its, pod, account), checkPathSegment);
  return keyed({
    spiffeId: grantId(its, rules.trustDomain, path),
    parentId: nodeAlias(rules, pod.spec.nodeName ?? ''),
    selectors: [
      { type: 'k8s', value: `pod-uid:${pod.metadata.uid}` },
      ...(container === undefined ? [] : [{ type: 'k8s', value: `container-name:${container}` }]),
    ],
    x509SvidTtl: its.x509SvidTtl,
    jwtSvidTtl: its.jwtSvidTtl,
    federatesWith: request.federatesWith,
    dnsNames: [...new Set(request.dnsNames)],
    admin: false,
    downstream: false,
    storeSvid: false,
    hint: request.hint,
  });
}

function containerNames({ spec }: Pod): unknown[] {
  const lists = [spec['containers'], spec['initContainers']];
  return lists.flatMap((list) => (Array.isArray(list) ? list.map((one: { name?: unknown }) => one.name) : []));
}

function dataFor(rules: ObjectRules, its: NamespaceRights, pod: Pod, account: ServiceAccount | undefined) {
  const empty = { name: '', uid: '' };
  return dataOf('template', {
    TrustDomain: () => rules.trustDomain,
    ClusterName: () => rules.clusterName,
    ClusterDomain: () => rules.clusterDomain,
    PodMeta: () => metaOf({ ...pod.metadata }),
    PodSpec: () => podSpecOf(pod.spec),
    ServiceAccountMeta: () => metaOf({ ...(account?.metadata ?? empty) }),
    Values: () => its.values,
  });
}

/** What templates of this kind may speak of. */
export const sampleObjectData = dataFor(
  { trustDomain: '', clusterName: '', clusterDomain: '', namespaces: [], templates: new Map() },
  {
    namespace: '',
    template: '',
    templates: [],
    idPrefixes: [],
    dnsNames: [],
    federatesWith: [],
    values: {},
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
  },
  { metadata: { name: '', uid: '' }, spec: {} },
  undefined,
);

/** Below a place of its own, where no template of the operator's leads: nobody's workload is a node. */
const aliasRoot = '/espalier/kubernetes';

export function nodeAlias(
  { trustDomain, clusterName }: Pick<ObjectRules, 'trustDomain' | 'clusterName'>,
  nodeName: string,
): string {
  [clusterName, nodeName].forEach((part) => checkPathSegment(part));
  return createSpiffeId(parseTrustDomain(trustDomain), `${aliasRoot}/${clusterName}/${nodeName}`).toString();
}

function aliasEntry(rules: ObjectRules, nodeName: string): WantedEntry {
  return keyed({
    spiffeId: nodeAlias(rules, nodeName),
    parentId: `spiffe://${rules.trustDomain}/spire/server`,
    selectors: [
      { type: 'k8s_psat', value: `cluster:${rules.clusterName}` },
      { type: 'k8s_psat', value: `agent_node_name:${nodeName}` },
    ],
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    dnsNames: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    hint: '',
  });
}

function nodeDeclarer({ clusterName }: ObjectRules, nodeName: string) {
  return declarerOf(clusterName, 'Node', { metadata: { name: nodeName, uid: nodeName } });
}
