import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { codeBlockOf, sectionOf } from '../../support/markdown.ts';
import { parseRegistrationConfig } from '../../../workers/registration/config.ts';

const least = {
  trustDomain: 'example.org',
  server: { socket: '/run/spire/api.sock' },
  clusters: [{ name: 'demo', mode: 'crds' }],
};
const ofObjects = (...namespaces: object[]) => ({
  ...least,
  clusters: [{ name: 'demo', mode: 'objects', namespaces }],
});

it('has defaults for everything but the trust domain, the server and the clusters', () => {
  const { clusters, templates, ...rest } = parseRegistrationConfig(least);
  expect(rest).toEqual({
    trustDomain: 'example.org',
    server: { socket: '/run/spire/api.sock' },
    entryIdPrefix: 'registration',
    dryRun: false,
    relistInterval: 30_000,
    watchSilence: 90_000,
    deletionGuard: { share: 0.5, always: 10 },
  });
  expect([...templates.keys()]).toEqual(['kubernetes']);
  expect(clusters).toMatchObject([{ mode: 'crds', className: '', watchClassless: false, clusterDomain: '' }]);
});

it('gives a namespace the IDs below its own name where nothing else is said', () => {
  expect(parseRegistrationConfig(ofObjects({ name: 'shop' })).clusters).toMatchObject([
    {
      namespaces: [
        { namespace: 'shop', template: 'kubernetes', idPrefixes: ['/ns/shop'], dnsNames: [], federatesWith: [] },
      ],
    },
  ]);
});

it.for([
  ['a misspelt key', { ...least, dryrun: true }, 'Unrecognized key: "dryrun"'],
  ['a trust domain that is none', { ...least, trustDomain: 'Example.org' }, 'trustDomain: trust domain characters'],
  ['no server', { ...least, server: {} }, 'server: '],
  ['two ways to the server', { ...least, server: { socket: 'a', address: 'b', workloadApiSocket: 'c' } }, 'server: '],
  [
    'the prefix of the control plane',
    { ...least, entryIdPrefix: 'espalier' },
    'entryIdPrefix: is that of the control plane',
  ],
  ['a prefix with a dot', { ...least, entryIdPrefix: 'a.b' }, 'entryIdPrefix: is not letters'],
  ['a switch that is neither true nor false', { ...least, dryRun: 'yes' }, 'dryRun: Invalid input: expected boolean'],
  ['a share that is none', { ...least, deletionGuard: { share: '0.5' } }, 'deletionGuard.share: is no part of all'],
  ['an interval without a unit', { ...least, relistInterval: '30' }, 'relistInterval: missing unit'],
  ['no cluster', { ...least, clusters: [] }, 'clusters: names no cluster'],
  ['a mode that is none', { ...least, clusters: [{ name: 'a', mode: 'both' }] }, 'clusters.0.mode: Invalid'],
  [
    'a cluster that is more than a segment of a path',
    { ...least, clusters: [{ name: 'a/b', mode: 'crds' }] },
    'clusters.0.name: is not letters',
  ],
  [
    'a cluster twice',
    { ...least, clusters: [least.clusters[0], least.clusters[0]] },
    'clusters.1.name: demo is there twice',
  ],
  [
    'a home that is no cluster',
    { ...least, home: { cluster: 'other', namespace: 'spire' } },
    'home.cluster: other is none of the clusters',
  ],
  [
    'a broken expression',
    { ...least, clusters: [{ name: 'a', mode: 'crds', ignoreNamespaces: ['('] }] },
    'clusters.0.ignoreNamespaces.0: Invalid regular expression',
  ],
  [
    'a parent of the pod',
    { ...least, clusters: [{ name: 'a', mode: 'crds', parentIdTemplate: '{{ .PodMeta.Name }}' }] },
    'clusters.0.parentIdTemplate: ',
  ],
  [
    'namespaces of custom resources',
    { ...least, clusters: [{ name: 'a', mode: 'crds', namespaces: [] }] },
    'Unrecognized key: "namespaces"',
  ],
  ['objects of no namespace', ofObjects(), 'clusters.0.namespaces: names no namespace'],
  ['a namespace twice', ofObjects({ name: 'a' }, { name: 'a' }), 'clusters.0.namespaces.1.name: a is there twice'],
  [
    'a template that is not there',
    ofObjects({ name: 'a', templates: ['b'] }),
    'clusters.0.namespaces.0.template: template "b" is not there',
  ],
  [
    'a template that speaks of nodes',
    { ...ofObjects({ name: 'a' }), templates: { b: '/{{ .NodeMeta.Name }}' } },
    'templates.b: ',
  ],
  ['every ID', ofObjects({ name: 'a', idPrefixes: [''] }), 'clusters.0.namespaces.0.idPrefixes.0: would be every ID'],
  [
    'the root of all IDs',
    ofObjects({ name: 'a', idPrefixes: ['/'] }),
    'clusters.0.namespaces.0.idPrefixes.0: path cannot',
  ],
  ['IDs of agents', ofObjects({ name: 'a', idPrefixes: ['/spire/agent'] }), '/spire/agent is not for workloads'],
  ['IDs of nodes', ofObjects({ name: 'a', idPrefixes: ['/espalier'] }), '/espalier is not for workloads'],
  [
    'a DNS name that is none',
    ofObjects({ name: 'a', dnsNames: ['*'] }),
    'clusters.0.namespaces.0.dnsNames.0: is no DNS name',
  ],
] as const)('refuses %s', ([, document, reason]) => {
  expect(() => parseRegistrationConfig(document)).toThrow(reason);
});

it('tells all faults at once', () => {
  expect(() => parseRegistrationConfig({ ...least, trustDomain: '', dryRun: 1, clusters: [] })).toThrow(
    'the configuration has 3 faults: ',
  );
});

const root = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

it('takes the configuration that the README shows', () => {
  const shown = codeBlockOf(sectionOf(read('README.md'), 'Registration from Kubernetes'), 'yaml');
  expect(parseRegistrationConfig(parse(shown)).clusters).toMatchObject([
    { name: 'production', mode: 'crds' },
    { name: 'edge', namespaces: [{ idPrefixes: ['/ns/shop'] }, { template: 'team' }] },
  ]);
});

it('takes the configuration that deploy/ begins with', () => {
  const shown = read('deploy/kubernetes/registration/custom-resources/registration.yaml');
  expect(parseRegistrationConfig(parse(shown)).home).toEqual({
    cluster: 'example-cluster',
    namespace: 'spire-server',
    name: 'espalier-registration',
  });
});
