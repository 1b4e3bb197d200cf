// Registration from real API servers onto our server, with the controller manager's own definitions and with the rights that deploy/ gives, and no others.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTcpGap } from '../support/tcp-gap.ts';
import { createNamespace, createNode, createPod, deletePod } from './support/kubernetes-pods.ts';
import type { Placed } from './support/kubernetes-pods.ts';
import { startKubernetes } from './support/kubernetes.ts';
import type { Kubernetes } from './support/kubernetes.ts';
import { eventually } from './support/processes.ts';
import { prepareSpireServer, root } from './support/programs.ts';
import {
  accountKubeconfig,
  applyRights,
  documentsIn,
  entriesOf,
  installDefinitions,
  rehearse,
  startRegistration,
} from './support/registration.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const stage = createStage();
let kubernetes: Kubernetes;
let other: Kubernetes;
let server: SpireServer;
let node: Placed;
let kubeconfig: string;

const spire = '/apis/spire.spiffe.io/v1alpha1';
const resource = (kind: string, name: string, spec: object) => ({
  apiVersion: 'spire.spiffe.io/v1alpha1',
  kind,
  metadata: { name },
  spec,
});
const create = (plural: string, kind: string, name: string, spec: object) =>
  kubernetes.administrator.call('POST', `${spire}/${plural}?fieldValidation=Strict`, resource(kind, name, spec));
const remove = (plural: string, name: string) => kubernetes.administrator.call('DELETE', `${spire}/${plural}/${name}`);
const statusOf = async (plural: string, name: string): Promise<unknown> =>
  (await kubernetes.administrator.call<{ status?: unknown }>('GET', `${spire}/${plural}/${name}`)).status;
const pod = (name: string, labels: Record<string, string> = {}, namespace = 'shop', cluster = kubernetes) =>
  createPod(cluster, { namespace, name, account: 'api', node: 'node-1', labels });
const idsAt = async (one = server): Promise<string[]> => (await entriesOf(one)).map(({ spiffeId }) => spiffeId).sort();

beforeAll(async () => {
  kubernetes = stage.add(await startKubernetes(stage));
  other = stage.add(await startKubernetes({ directory: join(stage.directory, 'other') }));
  for (const cluster of [kubernetes, other]) {
    await createNamespace(cluster, 'shop', ['api']);
    await createNamespace(cluster, 'bank', ['api']);
    await createNode(cluster, 'node-1');
  }
  await createNamespace(kubernetes, 'spire-server', []);
  await installDefinitions(kubernetes);
  await applyRights(kubernetes, 'custom-resources/rights.yaml', 'spire-server');
  node = (await kubernetes.administrator.call<{ metadata: Placed }>('GET', '/api/v1/nodes/node-1')).metadata;
  const path = join(stage.directory, 'registration.kubeconfig');
  kubeconfig = await accountKubeconfig(kubernetes, { namespace: 'spire-server', account: 'registration', path });
  server = await stage.server({ name: 'crds' });
});
afterAll(() => stage.strike());

const byResources = (more: object = {}) => ({
  trustDomain: 'example.org',
  server: { socket: server.socketPath },
  relistInterval: '2s',
  home: { cluster: 'production', namespace: 'spire-server' },
  clusters: [{ name: 'production', mode: 'crds', kubeconfig, clusterDomain: 'cluster.local' }],
  ...more,
});

describe('custom resources', () => {
  it('become entries, statuses say so, and what goes takes its entry along; what is somebody else’s stays', async () => {
    const parentId = 'spiffe://example.org/somebody';
    await server.createEntry({ parentId, spiffeId: 'spiffe://example.org/by-hand', selectors: ['unix:uid:1'] });
    const first = await pod('api-0', { app: 'api' });
    await pod('vault-0', { app: 'vault' }, 'bank');
    await kubernetes.administrator.call('POST', '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices', {
      metadata: { name: 'api-1', labels: { 'kubernetes.io/service-name': 'api' } },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['192.0.2.8'], targetRef: { kind: 'Pod', name: 'api-0', namespace: 'shop', uid: first.uid } },
      ],
    });
    await create('clusterspiffeids', 'ClusterSPIFFEID', 'everybody', {
      spiffeIDTemplate: 'spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}',
      podSelector: { matchLabels: { app: 'api' } },
      dnsNameTemplates: ['{{ .PodMeta.Name }}.{{ .ClusterName }}'],
      autoPopulateDNSNames: true,
      hint: 'from-a-resource',
    });
    await create('clusterspiffeids', 'ClusterSPIFFEID', 'the-rest', {
      spiffeIDTemplate: 'spiffe://{{ .TrustDomain }}/rest/{{ .PodMeta.Name }}',
      fallback: true,
    });
    await create('clusterspiffeids', 'ClusterSPIFFEID', 'of-another', {
      spiffeIDTemplate: 'spiffe://example.org/never',
      className: 'other',
    });
    await create('clusterstaticentries', 'ClusterStaticEntry', 'database', {
      spiffeID: 'spiffe://example.org/database',
      parentID: 'spiffe://example.org/node/db',
      selectors: ['unix:uid:70'],
    });

    const plan = await rehearse(stage.directory, 'rehearsal', byResources());
    expect(plan).toContain('+ spiffe://example.org/ns/shop/sa/api below');
    expect(plan).toContain('3 to create, 0 to update, 0 to delete, 0 stand');
    expect(await idsAt()).toEqual(['spiffe://example.org/by-hand']);

    const registration = stage.add(startRegistration(stage.directory, 'crds', byResources()));
    await eventually(
      'the entries are there',
      async () => expect(await entriesOf(server)).toHaveLength(4),
      30_000,
      registration.checkRunning,
    );
    const entries = await entriesOf(server);
    expect(entries.find(({ spiffeId }) => spiffeId === 'spiffe://example.org/ns/shop/sa/api')).toMatchObject({
      id: expect.stringMatching(/^registration\.production\./) as string,
      parentId: `spiffe://example.org/spire/agent/k8s_psat/production/${node.uid}`,
      selectors: [`k8s:pod-uid:${first.uid}`],
      dnsNames: ['api-0.production', 'api', 'api.shop', 'api.shop.svc', 'api.shop.svc.cluster.local'],
      hint: 'from-a-resource',
    });
    expect(entries.map(({ spiffeId }) => spiffeId).sort()).toEqual([
      'spiffe://example.org/by-hand',
      'spiffe://example.org/database',
      'spiffe://example.org/ns/shop/sa/api',
      'spiffe://example.org/rest/vault-0',
    ]);
    await eventually('the statuses are written', async () => {
      expect(await statusOf('clusterspiffeids', 'everybody')).toEqual({
        stats: {
          namespacesSelected: 7,
          namespacesIgnored: 2,
          podsSelected: 1,
          podEntryRenderFailures: 0,
          entriesMasked: 0,
          entriesToSet: 1,
          entryFailures: 0,
        },
      });
      expect(await statusOf('clusterstaticentries', 'database')).toEqual({ rendered: true, masked: false, set: true });
    });
    expect(await statusOf('clusterspiffeids', 'of-another')).toBeUndefined();

    await pod('api-1', { app: 'api' });
    const began = Date.now();
    await eventually('a new pod is registered', async () => expect(await entriesOf(server)).toHaveLength(5));
    console.log(`a new pod is registered after ${Date.now() - began} ms`);
    await deletePod(kubernetes, 'shop', 'api-0');
    await deletePod(kubernetes, 'shop', 'api-1');
    await remove('clusterstaticentries', 'database');
    await eventually('they are gone', async () =>
      expect(await idsAt()).toEqual(['spiffe://example.org/by-hand', 'spiffe://example.org/rest/vault-0']),
    );

    // What somebody takes away is put back, and another replica goes on where this one was.
    await registration.stop();
    const [left] = (await entriesOf(server)).filter(({ id }) => id.startsWith('registration.'));
    await server.operate('entry', 'delete', '-entryID', left?.id ?? '');
    await pod('late', { app: 'api' });
    const next = stage.add(startRegistration(stage.directory, 'crds-again', byResources()));
    await eventually(
      'the next goes on',
      async () =>
        expect(await idsAt()).toEqual([
          'spiffe://example.org/by-hand',
          'spiffe://example.org/ns/shop/sa/api',
          'spiffe://example.org/rest/vault-0',
        ]),
      30_000,
      next.checkRunning,
    );
    await next.stop();
  });

  it('have a Deployment that the API server takes, strictly', async () => {
    const [deployment] = documentsIn(join(root, 'deploy/kubernetes/registration/custom-resources/deployment.yaml'));
    const path = '/apis/apps/v1/namespaces/spire-server/deployments?dryRun=All&fieldValidation=Strict';
    expect(await kubernetes.administrator.call('POST', path, deployment)).toMatchObject({ spec: { replicas: 2 } });
  });

  it('federate, and what somebody else federates stays', async () => {
    const partner = {
      trustDomain: 'partner.org',
      bundleEndpointURL: 'https://partner.org/bundle',
      bundleEndpointProfile: { type: 'https_web' },
    };
    const federatedWith = async (): Promise<string[]> => {
      const text = await server.operate('federation', 'list', '-output', 'json');
      const { federation_relationships: all } = JSON.parse(text) as {
        federation_relationships: { trust_domain: string }[];
      };
      return all.map((one) => one.trust_domain).sort();
    };
    await server.operate(
      'federation',
      'create',
      '-trustDomain',
      'theirs.org',
      '-bundleEndpointURL',
      'https://theirs.org/bundle',
      '-bundleEndpointProfile',
      'https_web',
    );
    await create('clusterfederatedtrustdomains', 'ClusterFederatedTrustDomain', 'partner', partner);
    const registration = stage.add(startRegistration(stage.directory, 'federation', byResources()));
    await eventually(
      'it federates',
      async () => expect(await federatedWith()).toEqual(['partner.org', 'theirs.org']),
      30_000,
      registration.checkRunning,
    );
    await registration.stop();
    // The record outlives the process: the resource goes while nobody looks.
    await remove('clusterfederatedtrustdomains', 'partner');
    const next = stage.add(startRegistration(stage.directory, 'federation-again', byResources()));
    await eventually(
      'it no longer federates',
      async () => expect(await federatedWith()).toEqual(['theirs.org']),
      30_000,
      next.checkRunning,
    );
    await next.stop();
  });

  it('stand on SPIRE’s own server as well', async () => {
    const theirs = await stage.server({ name: 'spire', command: await prepareSpireServer() });
    const { uid } = await pod('on-theirs', { app: 'api' });
    const config = byResources({ server: { socket: theirs.socketPath } });
    const registration = stage.add(startRegistration(stage.directory, 'spire', config));
    const mine = async () =>
      (await entriesOf(theirs)).find(({ selectors }) => selectors.includes(`k8s:pod-uid:${uid}`));
    const isThere = async () =>
      expect(await mine()).toMatchObject({
        id: expect.stringMatching(/^registration\.production\./) as string,
        spiffeId: 'spiffe://example.org/ns/shop/sa/api',
        hint: 'from-a-resource',
      });
    await eventually('the entry is there', isThere, 30_000, registration.checkRunning);
    await deletePod(kubernetes, 'shop', 'on-theirs');
    await eventually('it is gone', async () => expect(await mine()).toBeUndefined());
    await registration.stop();
  });

  it('are caught up with after a watch that died without a word', async () => {
    const gap = await openTcpGap({ host: '127.0.0.1', port: Number(new URL(kubernetes.url).port) });
    const path = join(stage.directory, 'gap.kubeconfig');
    const url = `https://127.0.0.1:${gap.port}`;
    const through = await accountKubeconfig(kubernetes, {
      namespace: 'spire-server',
      account: 'registration',
      path,
      url,
    });
    const config = byResources({
      watchSilence: '3s',
      clusters: [{ name: 'production', mode: 'crds', kubeconfig: through, clusterDomain: 'cluster.local' }],
    });
    const registration = stage.add(startRegistration(stage.directory, 'gap', config));
    const registered = async (uid: string): Promise<void> => {
      const selectors = (await entriesOf(server)).flatMap((entry) => entry.selectors);
      expect(selectors).toContain(`k8s:pod-uid:${uid}`);
    };
    const before = await pod('before', { app: 'api' });
    await eventually('it has begun', () => registered(before.uid), 30_000, registration.checkRunning);
    gap.shut();
    const { uid } = await pod('while-nobody-heard', { app: 'api' });
    await eventually('the silence is noticed', () =>
      expect(registration.log()).toContain('nothing was said for 3000 ms'),
    );
    await expect(registered(uid)).rejects.toThrow();
    gap.open();
    await eventually('it has caught up', () => registered(uid), 30_000, registration.checkRunning);
    await registration.stop();
    await gap.close();
  });
});

describe('plain objects of two clusters', () => {
  it('are registered with rights in their namespaces alone', async () => {
    // From outside, over mTLS, as an administrator by an SVID: no socket of the server's is shared.
    const outside = await stage.server({ name: 'objects' });
    const agent = await stage.agent({ name: 'agent', server: outside });
    const administrator = 'spiffe://example.org/platform/registration';
    await outside.createEntry({ parentId: agent.nodeId, spiffeId: administrator, selectors: [ownUid], admin: true });
    const clusters = [];
    for (const [name, cluster] of [
      ['first', kubernetes],
      ['second', other],
    ] as const) {
      await applyRights(cluster, 'objects/rights.yaml', 'shop');
      const path = join(stage.directory, `${name}.kubeconfig`);
      const its = await accountKubeconfig(cluster, { namespace: 'shop', account: 'espalier-registration', path });
      const namespace = {
        name: 'shop',
        templates: ['team'],
        idPrefixes: ['/ns/shop', '/prod/onprem/payments'],
        values: { environment: 'prod', platform: 'onprem', team: 'payments' },
      };
      clusters.push({ name, mode: 'objects', kubeconfig: its, namespaces: [namespace] });
    }
    const config = {
      trustDomain: 'example.org',
      server: { address: `127.0.0.1:${outside.port}`, workloadApiSocket: agent.socketPath },
      relistInterval: '2s',
      templates: {
        team: '/{{ .Values.environment }}/{{ .Values.platform }}/{{ .Values.team }}/{{ .PodSpec.ServiceAccountName }}',
        bank: '/ns/bank/sa/api',
      },
      clusters,
    };
    const asked = { 'espalier.io/register': 'true' };
    const first = await pod('asks', asked);
    const second = await pod('asks-too', asked, 'shop', other);
    await pod('does-not-ask', {}, 'shop', other);
    await pod('elsewhere', asked, 'bank', other);
    const annotate = (name: string, annotations: object) =>
      other.administrator.call(
        'PATCH',
        `/api/v1/namespaces/shop/pods/${name}`,
        { metadata: { annotations } },
        { contentType: 'application/merge-patch+json' },
      );

    const registration = stage.add(startRegistration(stage.directory, 'objects', config));
    const byPod = async (): Promise<[string, string, string][]> =>
      (await entriesOf(outside))
        .filter(({ selectors }) => selectors.some((one) => one.startsWith('k8s:pod-uid:')))
        .map(({ spiffeId, parentId, selectors }): [string, string, string] => [spiffeId, parentId, selectors[0] ?? ''])
        .sort();
    const alias = (name: string) => `spiffe://example.org/espalier/kubernetes/${name}/node-1`;
    const account = 'spiffe://example.org/ns/shop/sa/api';
    await eventually(
      'both are registered',
      async () =>
        expect(await byPod()).toEqual([
          [account, alias('first'), `k8s:pod-uid:${first.uid}`],
          [account, alias('second'), `k8s:pod-uid:${second.uid}`],
        ]),
      30_000,
      registration.checkRunning,
    );
    const aliases = (await entriesOf(outside)).filter(
      ({ parentId }) => parentId === 'spiffe://example.org/spire/server',
    );
    expect(aliases.map(({ spiffeId, selectors }) => [spiffeId, [...selectors].sort()]).sort()).toEqual(
      ['first', 'second'].map((name) => [alias(name), ['k8s_psat:agent_node_name:node-1', `k8s_psat:cluster:${name}`]]),
    );

    await annotate('asks-too', { 'espalier.io/template': 'team' });
    await eventually('it chose', async () =>
      expect((await byPod())[1]?.[0]).toBe('spiffe://example.org/prod/onprem/payments/api'),
    );
    await annotate('asks-too', { 'espalier.io/template': 'bank' });
    await eventually('it may not be another', async () => expect((await byPod()).map(([id]) => id)).toEqual([account]));
    expect(registration.log()).toContain('template \\"bank\\" is not for pods of namespace shop');

    // Somebody who comes anew and may no longer read takes nobody's identity.
    await registration.stop();
    const binding = '/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/espalier-registration';
    for (const cluster of [kubernetes, other]) await cluster.administrator.call('DELETE', binding);
    const blind = stage.add(startRegistration(stage.directory, 'blind', config));
    await eventually(
      'it is refused',
      () => expect(blind.log()).toContain('cannot list resource'),
      30_000,
      blind.checkRunning,
    );
    await sleep(2_500); // a round that lists the server's entries anew
    expect((await byPod()).map(([id]) => id)).toEqual([account]);
    await blind.stop();
  });

  it('have no more than that: the account can read nothing else', async () => {
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const may = async (verb: string, plural: string, namespace?: string, group = ''): Promise<boolean> => {
      const user = 'system:serviceaccount:shop:espalier-registration';
      const resourceAttributes = { verb, resource: plural, group, ...(namespace === undefined ? {} : { namespace }) };
      const answer = await kubernetes.administrator.call<{ status: { allowed: boolean } }>('POST', path, {
        spec: { user, resourceAttributes },
      });
      return answer.status.allowed;
    };
    await kubernetes.administrator.call('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings', {
      metadata: { name: 'espalier-registration' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'espalier-registration' },
      subjects: [{ kind: 'ServiceAccount', name: 'espalier-registration', namespace: 'shop' }],
    });
    await eventually('the right is back', async () => expect(await may('list', 'pods', 'shop')).toBe(true));
    expect(await may('list', 'serviceaccounts', 'shop')).toBe(true);
    for (const [verb, plural, namespace] of [
      ['list', 'pods', undefined],
      ['list', 'pods', 'bank'],
      ['list', 'nodes', undefined],
      ['list', 'namespaces', undefined],
      ['get', 'secrets', 'shop'],
      ['patch', 'pods', 'shop'],
      ['create', 'configmaps', 'shop'],
    ] as const)
      expect([verb, plural, namespace, await may(verb, plural, namespace)]).toEqual([verb, plural, namespace, false]);
  });
});
