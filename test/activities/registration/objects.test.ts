import { describe, expect, it } from 'vitest';
import { createObjectRenderer, sampleObjectData } from '../../../activities/registration/objects/render-objects.ts';
import type { Pod, ServiceAccount } from '../../../activities/registration/objects/kubernetes-objects.ts';
import type { NamespaceRights } from '../../../activities/registration/objects/namespace-rights.ts';
import { parseTemplate } from '../../../activities/registration/template/template.ts';

const templates = new Map(
  Object.entries({
    kubernetes: '/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}',
    team: '/{{ .Values.environment }}/{{ .Values.platform }}/{{ .Values.team }}/{{ .PodSpec.ServiceAccountName }}',
    service: '/service/{{ index .PodMeta.Labels "app" }}',
    annotated: '/ns/{{ .PodMeta.Namespace }}/{{ .PodMeta.Annotations.name }}',
  }).map(([name, text]) => [name, parseTemplate(text, sampleObjectData)]),
);
const shop: NamespaceRights = {
  namespace: 'shop',
  template: 'kubernetes',
  templates: [],
  idPrefixes: ['/ns/shop'],
  dnsNames: [],
  federatesWith: [],
  values: {},
  x509SvidTtl: 0,
  jwtSvidTtl: 0,
};
const render = (
  pods: readonly Pod[],
  rights: Partial<NamespaceRights> = {},
  serviceAccounts: readonly ServiceAccount[] = [],
) =>
  createObjectRenderer({
    trustDomain: 'example.org',
    clusterName: 'demo',
    clusterDomain: '',
    namespaces: [{ ...shop, ...rights }],
    templates,
  })({ pods, serviceAccounts });

const pod = (
  said: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    namespace?: string;
    nodeName?: string;
  } = {},
): Pod => ({
  metadata: {
    name: 'api-0',
    namespace: said.namespace ?? 'shop',
    uid: 'u-1',
    labels: { 'espalier.io/register': 'true', ...said.labels },
    annotations: said.annotations ?? {},
  },
  spec: { nodeName: said.nodeName ?? 'node-a', serviceAccountName: 'api', containers: [{ name: 'main' }] },
});
const account = (labels: Record<string, string>, annotations: Record<string, string> = {}): ServiceAccount => ({
  metadata: { name: 'api', namespace: 'shop', uid: 'sa-1', labels, annotations },
});
const annotated = (name: string, value: string) => pod({ annotations: { [`espalier.io/${name}`]: value } });
const idsOf = ({ declared }: ReturnType<typeof render>) =>
  declared.filter(({ by }) => by.kind === 'Pod').map(({ entry }) => entry.spiffeId);

describe('a pod that asks', () => {
  it('gets the ID of its service account, below the alias of its node, and the alias comes with it', () => {
    const { declared, faults } = render([pod()]);
    expect(faults).toEqual([]);
    expect(
      declared.map(({ by, entry: { spiffeId, parentId, selectors } }) => [by.kind, spiffeId, parentId, selectors]),
    ).toEqual([
      [
        'Node',
        'spiffe://example.org/espalier/kubernetes/demo/node-a',
        'spiffe://example.org/spire/server',
        [
          { type: 'k8s_psat', value: 'agent_node_name:node-a' },
          { type: 'k8s_psat', value: 'cluster:demo' },
        ],
      ],
      [
        'Pod',
        'spiffe://example.org/ns/shop/sa/api',
        'spiffe://example.org/espalier/kubernetes/demo/node-a',
        [{ type: 'k8s', value: 'pod-uid:u-1' }],
      ],
    ]);
  });

  it('may choose among the templates that its namespace has', () => {
    const rights = {
      templates: ['team'],
      values: { environment: 'prod', platform: 'onprem', team: 'payments' },
      idPrefixes: ['/ns/shop', '/prod/onprem/payments'],
    };
    expect(idsOf(render([annotated('template', 'team')], rights))).toEqual([
      'spiffe://example.org/prod/onprem/payments/api',
    ]);
    expect(idsOf(render([pod()], rights))).toEqual(['spiffe://example.org/ns/shop/sa/api']);
  });

  it('gets what its namespace may have, and its namespace decides how long', () => {
    const rights = {
      dnsNames: ['*.shop.example.org', 'shop.example.org'],
      federatesWith: ['partner.org'],
      x509SvidTtl: 600,
      jwtSvidTtl: 60,
    };
    const annotations = {
      'espalier.io/dns-names': 'api.shop.example.org, shop.example.org',
      'espalier.io/federates-with': 'partner.org',
      'espalier.io/hint': 'inner',
      'espalier.io/container': 'main',
    };
    expect(render([pod({ annotations })], rights).declared[1]?.entry).toMatchObject({
      dnsNames: ['api.shop.example.org', 'shop.example.org'],
      federatesWith: ['partner.org'],
      hint: 'inner',
      x509SvidTtl: 600,
      jwtSvidTtl: 60,
      admin: false,
      downstream: false,
      selectors: [
        { type: 'k8s', value: 'container-name:main' },
        { type: 'k8s', value: 'pod-uid:u-1' },
      ],
    });
  });
});

describe('whether a pod asks', () => {
  const quiet = { labels: { 'espalier.io/register': 'false' } };
  const unlabelled: Pod = { ...pod(), metadata: { ...pod().metadata, labels: {} } };
  it.for([
    ['its label', pod(), undefined, true],
    ['no label', unlabelled, undefined, false],
    ['another word than true', pod({ labels: { 'espalier.io/register': 'yes' } }), undefined, false],
    ['the label of its service account', unlabelled, account({ 'espalier.io/register': 'true' }), true],
    ['its own word before that of its service account', pod(quiet), account({ 'espalier.io/register': 'true' }), false],
    ['a namespace that nobody configured', pod({ namespace: 'other' }), undefined, false],
    ['no node yet', pod({ nodeName: '' }), undefined, false],
  ] as const)('%s says it', ([, one, its, want]) => {
    const { declared, faults } = render([one], {}, its === undefined ? [] : [its]);
    expect([declared.length > 0, faults]).toEqual([want, []]);
  });

  it('and its own annotations go before those of its service account', () => {
    const rights = { templates: ['service'], idPrefixes: ['/ns/shop', '/service/web'] };
    const its = account({}, { 'espalier.io/template': 'service' });
    expect(idsOf(render([pod({ labels: { app: 'web' } })], rights, [its]))).toEqual([
      'spiffe://example.org/service/web',
    ]);
    const own = pod({ labels: { app: 'web' }, annotations: { 'espalier.io/template': 'kubernetes' } });
    expect(idsOf(render([own], rights, [its]))).toEqual(['spiffe://example.org/ns/shop/sa/api']);
  });
});

describe('a pod cannot', () => {
  it.for([
    [
      'choose a template that is not for its namespace',
      annotated('template', 'team'),
      {},
      'template "team" is not for pods of namespace shop',
    ],
    [
      'choose a template that is not there',
      annotated('template', '/ns/bank/sa/vault'),
      {},
      'is not for pods of namespace shop',
    ],
    [
      'have an ID outside what its namespace may have',
      pod({ labels: { app: 'vault' } }),
      { template: 'service', idPrefixes: ['/ns/shop', '/service/web'] },
      'spiffe://example.org/service/vault is not an ID for pods of namespace shop: want one below /ns/shop, /service/web',
    ],
    [
      'have an ID that only begins alike',
      pod({ labels: { app: 'web-admin' } }),
      { template: 'service', idPrefixes: ['/service/web'] },
      'is not an ID for pods',
    ],
    [
      'climb out of its place by a value',
      pod({ annotations: { name: '../bank/sa/vault' } }),
      { template: 'annotated' },
      'path segment characters',
    ],
    [
      'bring segments of its own',
      pod({ annotations: { name: 'sa/vault' } }),
      { template: 'annotated' },
      'path segment characters',
    ],
    ['be nobody', pod({ annotations: { name: '' } }), { template: 'annotated' }, 'empty segments'],
    [
      'have a DNS name that is not allowed',
      annotated('dns-names', 'bank.example.org'),
      { dnsNames: ['*.shop.example.org'] },
      'DNS name "bank.example.org" is not for pods',
    ],
    [
      'have a DNS name that only ends alike',
      annotated('dns-names', 'evilshop.example.org'),
      { dnsNames: ['*.shop.example.org'] },
      'is not for pods',
    ],
    [
      'have the name itself where only those below are allowed',
      annotated('dns-names', 'shop.example.org'),
      { dnsNames: ['*.shop.example.org'] },
      'is not for pods',
    ],
    [
      'have a wildcard below what is allowed',
      annotated('dns-names', '*.a.shop.example.org'),
      { dnsNames: ['*.shop.example.org'] },
      'is not for pods',
    ],
    [
      'federate with whom it likes',
      annotated('federates-with', 'evil.org'),
      { federatesWith: ['partner.org'] },
      'trust domain "evil.org" is not for pods',
    ],
    ['name a container that it does not have', annotated('container', 'other'), {}, 'the pod has no container "other"'],
    ['say what nobody knows', annotated('admin', 'true'), {}, 'espalier.io/admin: there is no such annotation'],
    ['be on a node with a strange name', pod({ nodeName: 'a/b' }), {}, 'path segment characters'],
  ] as const)('%s', ([, one, rights, reason]) => {
    const { declared, faults } = render([one], rights);
    expect(declared).toEqual([]);
    expect(faults).toMatchObject([{ by: 'demo: Pod shop/api-0', field: 'metadata.annotations' }]);
    expect(faults[0]?.reason).toContain(reason);
  });
});
