import { describe, expect, it } from 'vitest';
import { parseRegistrationConfig } from '../../../workers/registration/config.ts';
import type { KubernetesObject } from '../../../activities/registration/objects/kubernetes-objects.ts';
import type { ClusterApi, ResourceKind } from '../../../activities/registration/sources/cluster-api.ts';
import { createObjectSource } from '../../../activities/registration/sources/object-source.ts';
import { createResourceSource } from '../../../activities/registration/sources/resource-source.ts';
import { namespace, node, pod, resource, rules, spiffeIds } from './cluster.ts';

/** Lists that a test sets, by plural and namespace; undefined until it does. */
function createFakeApi() {
  const lists = new Map<string, readonly KubernetesObject[]>();
  const written: [string, string, object][] = [];
  const place = ({ plural, namespace: its = '' }: ResourceKind): string => `${its}/${plural}`;
  const watched: string[] = [];
  const api: ClusterApi = {
    watch(kind) {
      watched.push(place(kind));
      return { objects: () => lists.get(place(kind)) as never };
    },
    writeStatus: async ({ plural }, name, status) => void written.push([plural, name, status]),
  };
  return { api, lists, written, watched };
}

const plurals = [
  'clusterspiffeids',
  'clusterstaticentries',
  'clusterfederatedtrustdomains',
  'namespaces',
  'nodes',
  'pods',
  'endpointslices',
];

describe('a cluster with custom resources', () => {
  const setUp = () => {
    const fake = createFakeApi();
    return { ...fake, source: createResourceSource({ api: fake.api, rules, onChange: () => undefined }) };
  };

  it.for(plurals)('is not known while its %s are not', (missing) => {
    const { lists, source } = setUp();
    for (const plural of plurals) if (plural !== missing) lists.set(`/${plural}`, []);
    expect(source.view()).toBeUndefined();
    lists.set(`/${missing}`, []);
    expect(source.view()).toEqual({ declared: [], relationships: [], resources: [], faults: [] });
  });

  it('shows what its resources ask for, relationships of its class among them, and faults', () => {
    const { lists, source } = setUp();
    for (const plural of plurals) lists.set(`/${plural}`, []);
    const federated = (name: string, more: object = {}) =>
      resource(name, {
        trustDomain: `${name}.org`,
        bundleEndpointURL: `https://${name}.org`,
        bundleEndpointProfile: { type: 'https_web' },
        ...more,
      });
    lists.set('/namespaces', [namespace('shop')]);
    lists.set('/nodes', [node('node-a')]);
    lists.set('/pods', [pod('api-0')]);
    lists.set('/clusterspiffeids', [spiffeIds({})]);
    lists.set('/clusterfederatedtrustdomains', [
      federated('a'),
      federated('b', { className: 'other' }),
      federated('c', { bundleEndpointURL: 'http://c.org' }),
    ]);
    const view = source.view();
    expect(view?.declared).toHaveLength(1);
    expect(view?.relationships.map(({ relationship }) => relationship.trustDomain)).toEqual(['a.org']);
    expect(view?.faults).toEqual([
      {
        by: 'demo: ClusterFederatedTrustDomain c',
        field: 'spec.bundleEndpointURL',
        reason: '"http://c.org" is not https',
      },
    ]);
  });

  it('has its statuses written where they belong', async () => {
    const { lists, source, written } = setUp();
    for (const plural of plurals) lists.set(`/${plural}`, []);
    lists.set('/clusterspiffeids', [spiffeIds({})]);
    lists.set('/clusterstaticentries', [resource('db', {})]);
    const [first, second] = source.view()?.resources ?? [];
    if (first === undefined || second === undefined) throw new Error('two resources are there');
    await source.writeStatuses([first, second].map((of) => ({ of, status: { of: of.by.name } })));
    expect(written).toEqual([
      ['clusterstaticentries', 'db', { of: 'db' }],
      ['clusterspiffeids', 'all', { of: 'all' }],
    ]);
  });
});

describe('a cluster without custom resources', () => {
  const config = parseRegistrationConfig({
    trustDomain: 'example.org',
    server: { socket: '/s' },
    clusters: [{ name: 'demo', mode: 'objects', namespaces: [{ name: 'shop' }, { name: 'bank' }] }],
  });
  const setUp = () => {
    const fake = createFakeApi();
    const [cluster] = config.clusters;
    if (cluster?.mode !== 'objects') throw new Error('the cluster is of objects');
    const names = { trustDomain: 'example.org', clusterName: 'demo', clusterDomain: '' };
    const its = { ...names, namespaces: cluster.namespaces, templates: config.templates };
    return { ...fake, source: createObjectSource({ api: fake.api, rules: its, onChange: () => undefined }) };
  };

  it('is asked for pods and service accounts of its namespaces, and nothing else', () => {
    expect(setUp().watched).toEqual(['shop/pods', 'shop/serviceaccounts', 'bank/pods', 'bank/serviceaccounts']);
  });

  it('is not known while one namespace is not', () => {
    const { lists, watched, source } = setUp();
    for (const place of watched.slice(1)) lists.set(place, []);
    expect(source.view()).toBeUndefined();
    const asking = pod('api-0', { labels: { 'espalier.io/register': 'true' } });
    lists.set('shop/pods', [asking]);
    expect(source.view()?.declared.map(({ entry }) => entry.spiffeId)).toEqual([
      'spiffe://example.org/espalier/kubernetes/demo/node-a',
      'spiffe://example.org/ns/shop/sa/api',
    ]);
  });
});
