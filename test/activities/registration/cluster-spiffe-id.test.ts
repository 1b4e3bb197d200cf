import { describe, expect, it } from 'vitest';
import { createClusterRenderer } from '../../../activities/registration/custom-resources/render-cluster.ts';
import { namespace, node, objects, pod, rendered, rules, spiffeIds } from './cluster.ts';

const idsOf = ({ declared }: ReturnType<typeof rendered>) => declared.map(({ entry }) => entry.spiffeId);
const podsOf = ({ declared }: ReturnType<typeof rendered>) =>
  declared.map(({ entry }) =>
    entry.selectors.find(({ value }) => value.startsWith('pod-uid:'))?.value.slice('pod-uid:uid-of-'.length),
  );
const countsOf = ({ resources }: ReturnType<typeof rendered>) => resources.map(({ counts }) => counts);

describe('a ClusterSPIFFEID', () => {
  it('gives each pod an entry that names it and its node', () => {
    const { declared, faults } = rendered({ clusterSpiffeIds: [spiffeIds({})] });
    expect(faults).toEqual([]);
    expect(declared.map(({ entry }) => entry)).toEqual([
      {
        key: expect.any(String) as string,
        spiffeId: 'spiffe://example.org/ns/shop/sa/api',
        parentId: 'spiffe://example.org/spire/agent/k8s_psat/demo/uid-of-node-a',
        selectors: [{ type: 'k8s', value: 'pod-uid:uid-of-api-0' }],
        x509SvidTtl: 0,
        jwtSvidTtl: 0,
        federatesWith: [],
        dnsNames: [],
        admin: false,
        downstream: false,
        storeSvid: false,
        hint: '',
      },
    ]);
  });

  it('carries every field over', () => {
    const spec = {
      ttl: '1h30m',
      jwtTtl: '90s',
      federatesWith: ['partner.org'],
      admin: true,
      downstream: true,
      hint: 'internal',
      dnsNameTemplates: ['{{ .PodMeta.Name }}.{{ .PodMeta.Namespace }}.{{ .ClusterDomain }}', '{{ .PodMeta.Name }}'],
      workloadSelectorTemplates: ['k8s:container-name:main', 'unix:uid:1000'],
    };
    const [first] = rendered({ clusterSpiffeIds: [spiffeIds(spec)] }).declared;
    expect(first?.entry).toMatchObject({
      x509SvidTtl: 5400,
      jwtSvidTtl: 90,
      federatesWith: ['partner.org'],
      admin: true,
      downstream: true,
      hint: 'internal',
      dnsNames: ['api-0.shop.cluster.local', 'api-0'],
      selectors: [
        { type: 'k8s', value: 'container-name:main' },
        { type: 'k8s', value: 'pod-uid:uid-of-api-0' },
        { type: 'unix', value: 'uid:1000' },
      ],
    });
  });

  it('selects by the labels of namespaces and pods, passes over ignored namespaces, and counts', () => {
    const world = {
      namespaces: [
        namespace('shop', { spiffe: 'yes' }),
        namespace('kube-system', { spiffe: 'yes' }),
        namespace('other'),
      ],
      pods: [
        pod('a', { labels: { app: 'web' } }),
        pod('b', { labels: { app: 'db' } }),
        pod('c', { namespace: 'kube-system', labels: { app: 'web' } }),
        pod('d', { namespace: 'other', labels: { app: 'web' } }),
      ],
      clusterSpiffeIds: [
        spiffeIds({
          namespaceSelector: { matchLabels: { spiffe: 'yes' } },
          podSelector: { matchLabels: { app: 'web' } },
        }),
      ],
    };
    const result = rendered(world);
    expect(podsOf(result)).toEqual(['a']);
    expect(countsOf(result)).toEqual([
      { namespacesSelected: 2, namespacesIgnored: 1, podsSelected: 1, podEntryRenderFailures: 0 },
    ]);
  });

  it('waits for a pod to have a node, and says where the node is not there', () => {
    const pods = [pod('waiting', { nodeName: '' }), pod('lost', { nodeName: 'node-z' })];
    const result = rendered({ pods, clusterSpiffeIds: [spiffeIds({})] });
    expect(result.declared).toEqual([]);
    expect(result.faults).toEqual([
      { by: 'demo: ClusterSPIFFEID all, pod shop/lost', field: 'spec.nodeName', reason: 'node node-z is not there' },
    ]);
    expect(countsOf(result)).toMatchObject([{ podsSelected: 2, podEntryRenderFailures: 1 }]);
  });

  it('takes a parent ID template of the operator', async () => {
    const { parseTemplate } = await import('../../../activities/registration/template/template.ts');
    const { sampleNodeData } = await import('../../../activities/registration/custom-resources/template-data.ts');
    const parentIdTemplate = parseTemplate('spiffe://{{ .TrustDomain }}/node/{{ .NodeMeta.Name }}', sampleNodeData);
    const [first] = rendered({ clusterSpiffeIds: [spiffeIds({})] }, { parentIdTemplate }).declared;
    expect(first?.entry.parentId).toBe('spiffe://example.org/node/node-a');
    expect(() => parseTemplate('{{ .PodMeta.Name }}', sampleNodeData)).toThrow('has no field PodMeta');
  });
});

describe('a fallback', () => {
  const fallback = spiffeIds({ spiffeIDTemplate: 'spiffe://example.org/fallback', fallback: true }, 'fallback');

  it('is for pods that nothing else gives an entry, whatever the order', () => {
    const web = spiffeIds({ podSelector: { matchLabels: { app: 'web' } } }, 'web');
    const pods = [pod('a', { labels: { app: 'web' } }), pod('b')];
    for (const clusterSpiffeIds of [
      [fallback, web],
      [web, fallback],
    ]) {
      const result = rendered({ pods, clusterSpiffeIds });
      expect(idsOf(result).sort()).toEqual(['spiffe://example.org/fallback', 'spiffe://example.org/ns/shop/sa/api']);
      expect(podsOf(result).sort()).toEqual(['a', 'b']);
    }
  });

  it('stands beside another fallback', () => {
    const other = spiffeIds({ spiffeIDTemplate: 'spiffe://example.org/other', fallback: true }, 'other');
    expect(idsOf(rendered({ clusterSpiffeIds: [fallback, other] }))).toHaveLength(2);
  });

  it('is for a pod whose other entry could not be rendered', () => {
    const broken = spiffeIds({ spiffeIDTemplate: 'spiffe://example.org/{{ .PodMeta.Labels.nothing }}' }, 'broken');
    expect(idsOf(rendered({ clusterSpiffeIds: [broken, fallback] }))).toEqual(['spiffe://example.org/fallback']);
  });
});

describe('class names', () => {
  const resources = [
    spiffeIds({ className: 'a' }, 'of-a'),
    spiffeIds({ className: 'b' }, 'of-b'),
    spiffeIds({}, 'of-none'),
  ];
  it.for([
    [{ className: '', watchClassless: false }, ['of-none']],
    [{ className: '', watchClassless: true }, ['of-none']],
    [{ className: 'a', watchClassless: false }, ['of-a']],
    [{ className: 'a', watchClassless: true }, ['of-a', 'of-none']],
    [{ className: 'c', watchClassless: false }, []],
  ] as const)('%o takes %o', ([changed, want]) => {
    const { resources: taken } = rendered({ clusterSpiffeIds: resources }, changed);
    expect(taken.map(({ by }) => by.name)).toEqual(want);
  });
});

describe('names of services', () => {
  const slice = (service: string, uid: string, ready = true, kind = 'Pod') => ({
    metadata: { name: `${service}-x`, uid: service, labels: { 'kubernetes.io/service-name': service } },
    endpoints: [{ conditions: { ready }, targetRef: { kind, uid } }],
  });

  it('come after the templates, sorted, for every service that leads to the pod, ready or not', () => {
    const clusterSpiffeIds = [spiffeIds({ autoPopulateDNSNames: true, dnsNameTemplates: ['first'] })];
    const endpointSlices = [slice('web', 'uid-of-api-0'), slice('api', 'uid-of-api-0', false), slice('db', 'another')];
    const [first] = rendered({ clusterSpiffeIds, endpointSlices }).declared;
    expect(first?.entry.dnsNames).toEqual([
      'first',
      'api',
      'api.shop',
      'api.shop.svc',
      'api.shop.svc.cluster.local',
      'web',
      'web.shop',
      'web.shop.svc',
      'web.shop.svc.cluster.local',
    ]);
  });

  it('are of services that lead to pods, by a label that says which', () => {
    const clusterSpiffeIds = [spiffeIds({ autoPopulateDNSNames: true })];
    const unnamed = { ...slice('web', 'uid-of-api-0'), metadata: { name: 'x', uid: 'x' } };
    const nobody = { ...slice('db', 'uid-of-api-0'), endpoints: null };
    const endpointSlices = [slice('vm', 'uid-of-api-0', true, 'Node'), unnamed, nobody];
    expect(rendered({ clusterSpiffeIds, endpointSlices }).declared[0]?.entry.dnsNames).toEqual([]);
  });

  it('leave the cluster domain out where nobody said it, and are not there where nobody asked', () => {
    const endpointSlices = [slice('web', 'uid-of-api-0')];
    const asked = [spiffeIds({ autoPopulateDNSNames: true })];
    expect(
      rendered({ clusterSpiffeIds: asked, endpointSlices }, { clusterDomain: '' }).declared[0]?.entry.dnsNames,
    ).toEqual(['web', 'web.shop', 'web.shop.svc']);
    expect(rendered({ clusterSpiffeIds: [spiffeIds({})], endpointSlices }).declared[0]?.entry.dnsNames).toEqual([]);
  });
});

describe('refuses, with object and field,', () => {
  it.for([
    ['an empty template', { spiffeIDTemplate: '' }, 'spec.spiffeIDTemplate', 'is empty'],
    [
      'a template with an unknown field',
      { spiffeIDTemplate: 'spiffe://x/{{ .Pod.Name }}' },
      'spec.spiffeIDTemplate',
      'has no field Pod',
    ],
    [
      'an unknown function',
      { dnsNameTemplates: ['ok', '{{ upper "a" }}'] },
      'spec.dnsNameTemplates.1',
      'function "upper" is not there',
    ],
    ['a broken duration', { ttl: '1x' }, 'spec.ttl', 'unknown unit'],
    ['a negative duration', { jwtTtl: '-1h' }, 'spec.jwtTtl', '-1h is no time to live'],
    ['a broken trust domain', { federatesWith: ['Partner.org'] }, 'spec.federatesWith.0', 'lowercase'],
    [
      'a selector with an unknown operator',
      { podSelector: { matchExpressions: [{ key: 'a', operator: 'Is' }] } },
      'spec.podSelector',
      'operator "Is"',
    ],
    ['a flag that is none', { admin: 'yes' }, 'spec.admin', 'expected boolean'],
  ] as const)('%s', ([, spec, field, reason]) => {
    const result = rendered({ clusterSpiffeIds: [spiffeIds(spec)] });
    expect(result.declared).toEqual([]);
    expect(result.faults).toMatchObject([{ by: 'demo: ClusterSPIFFEID all', field }]);
    expect(result.faults[0]?.reason).toContain(reason);
    expect(result.resources).toHaveLength(1);
  });

  it.for([
    [
      'an ID that is none',
      { spiffeIDTemplate: 'spiffe://example.org/a b' },
      'spec.spiffeIDTemplate',
      'is no SPIFFE ID',
    ],
    [
      'an ID of another trust domain',
      { spiffeIDTemplate: 'spiffe://other.org/a' },
      'spec.spiffeIDTemplate',
      'is of trust domain other.org, want example.org',
    ],
    [
      'a label that the pod does not have',
      { spiffeIDTemplate: 'spiffe://example.org/{{ .PodMeta.Labels.app }}' },
      'spec.spiffeIDTemplate',
      'there is no such value',
    ],
    ['an ID that climbs', { spiffeIDTemplate: 'spiffe://example.org/a/../b' }, 'spec.spiffeIDTemplate', 'dot segments'],
    [
      'a selector without a value',
      { workloadSelectorTemplates: ['k8s:'] },
      'spec.workloadSelectorTemplates.0',
      'missing selector value',
    ],
  ] as const)('%s, of one pod', ([, spec, field, reason]) => {
    const result = rendered({ clusterSpiffeIds: [spiffeIds(spec)] });
    expect(result.declared).toEqual([]);
    expect(result.faults).toMatchObject([{ by: 'demo: ClusterSPIFFEID all, pod shop/api-0', field }]);
    expect(result.faults[0]?.reason).toContain(reason);
    expect(countsOf(result)).toMatchObject([{ podEntryRenderFailures: 1 }]);
  });

  it('and every fault of a resource at once', () => {
    const { faults } = rendered({ clusterSpiffeIds: [spiffeIds({ ttl: '1', jwtTtl: '2', hint: 3 })] });
    expect(faults.map(({ field }) => field)).toEqual(['spec.ttl', 'spec.jwtTtl', 'spec.hint']);
  });
});

describe('what was rendered', () => {
  it('is kept while pod, node, services and resource are the same, and made anew when one of them changes', () => {
    const render = createClusterRenderer(rules);
    const clusterSpiffeIds = [spiffeIds({})];
    const world = objects({ clusterSpiffeIds });
    const entryOf = (changed: Partial<typeof world> = {}) => render({ ...world, ...changed }).declared[0]?.entry;
    const before = entryOf();
    expect(entryOf()).toBe(before);
    expect(entryOf({ pods: [pod('api-0')] })).not.toBe(before);
    const again = entryOf();
    expect(entryOf({ nodes: [{ metadata: { name: 'node-a', uid: 'made-again' } }] })?.parentId).toMatch(/made-again$/);
    expect(entryOf({ clusterSpiffeIds: [spiffeIds({ hint: 'new' })] })?.hint).toBe('new');
    expect(entryOf({ nodes: [node('node-a')] })).toEqual(again);
  });
});
