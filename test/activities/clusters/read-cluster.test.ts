// What is read of a cluster is what was applied to it; what servers leave that are wanted no more goes in order, and nothing else does.
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { createClusterActivities } from '../../../activities/clusters/cluster-activities.ts';
import { placeOf } from '../../../activities/clusters/kinds.ts';
import { labelsOf } from '../../../activities/clusters/labels.ts';
import { createFakeKubernetes } from '../../fakes/fake-kubernetes.ts';
import { owned } from './clusters.ts';

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `spire-server-${index}`);

async function grown(change: object = {}) {
  const api = createFakeKubernetes();
  const input = owned(change);
  const activities = createClusterActivities({
    api: (context) => {
      if (context === 'down') throw new Error('connect ETIMEDOUT');
      return context === 'empty' ? createFakeKubernetes() : api;
    },
    contexts: () => Promise.resolve(['test', 'down', 'empty']),
    clock: Date.now,
  });
  const { agentIds } = await activities.ensureClusterServerNodes(input);
  await activities.ensureClusterServer(input);
  await activities.ensureClusterAgents(input);
  return { api, input, activities, agentIds, within: { trustDomain: 'example.org', cluster: input.cluster } };
}

describe('a cluster', () => {
  it('says what it was made with, and by which run', async () => {
    const { activities, within, agentIds } = await grown({
      ...{ servers: 2, image: 'a:1', storageClass: 'fast', expose: 'LoadBalancer', intermediateTtl: '24h' },
    });
    const found = await activities.readCluster(within);
    expect(found).toMatchObject({
      ...{ name: 'shop', context: 'test', owner: 'a-run', images: ['a:1'], left: [] },
      servers: names(2).map((name) => ({ name })), // no load balancer has given them an address
      settings: { storageClass: 'fast', expose: 'LoadBalancer', caTtl: '24h' },
    });
    expect(found?.nodes.map(({ name }) => name)).toEqual(names(9));
    expect(found?.nodes.slice(0, 2).map(({ agentId }) => agentId)).toEqual(agentIds);
    expect(JSON.stringify(found)).not.toContain('PRIVATE');
  });

  it('has two images where its agents have another than its servers', async () => {
    const { activities, input, within } = await grown({ image: 'a:1' });
    await activities.ensureClusterServer({ ...input, cluster: { ...input.cluster, image: 'a:2' } });
    expect((await activities.readCluster(within))?.images).toEqual(['a:2', 'a:1']);
  });

  it('of which nothing but a namespace is left has no servers, and is there all the same', async () => {
    const { api, activities, within } = await grown();
    for (const name of api.names().filter((one) => !one.startsWith('namespaces '))) {
      const [plural = '', path = ''] = name.split(' ');
      const [namespace, object = ''] = path.split('/');
      await api.remove({ group: '', version: '', plural, ...(namespace === '' ? {} : { namespace }) }, object);
    }
    expect(await activities.readCluster(within)).toMatchObject({ servers: [], nodes: [], images: [], settings: null });
  });

  it('of another trust domain has nothing of ours', async () => {
    const { activities, within } = await grown();
    expect(await activities.readCluster({ ...within, trustDomain: 'other.example.org' })).toBeNull();
  });

  it('that no context of a specification leads to is found by its certificates’ name, and who does not answer is named', async () => {
    const { activities } = await grown();
    const { found, silent } = await activities.findClusters({ trustDomain: 'example.org', beside: [] });
    expect(found.map(({ name, context }) => [name, context])).toEqual([['shop', 'test']]);
    expect(silent).toEqual(['down: connect ETIMEDOUT']);
    const beside = [{ context: 'test' }, { context: 'down' }];
    expect(await activities.findClusters({ trustDomain: 'example.org', beside })).toEqual({ found: [], silent: [] });
  });
});

describe('servers that are wanted no more', () => {
  it('are known by what is left of them, and leave nothing: their volumes when their pods are gone, then their Services', async () => {
    const { api, activities, input, within } = await grown({ servers: 3 });
    const labels = labelsOf(within);
    const put = (kind: string, name: string) =>
      api.put(placeOf(kind, 'spire-server'), { metadata: { name, namespace: 'spire-server', labels } });
    for (const name of ['spire-db-0', ...names(3)]) {
      put('Pod', name);
      put('PersistentVolumeClaim', `data-${name}`);
    }
    const fewer = { ...input, cluster: { ...input.cluster, servers: names(1) } };
    await activities.ensureClusterServer(fewer);
    expect(await activities.readCluster(within)).toMatchObject({ left: names(3).slice(1) });
    const environment = new MockActivityEnvironment({ startToCloseTimeoutMs: 20_000 });
    const waiting = new Promise((resolve) => environment.once('heartbeat', resolve));
    const removing = environment.run(() => activities.removeClusterServers(fewer));
    const ofGone = (plural: string) =>
      api.names().filter((name) => name.startsWith(plural) && /server-[12]$/.test(name));
    expect(await waiting).toContain(
      '2 objects are there: Pod spire-server/spire-server-1; Pod spire-server/spire-server-2',
    );
    expect(ofGone('persistentvolumeclaims')).toHaveLength(2); // their pods run
    for (const name of names(3).slice(1)) await api.remove(placeOf('Pod', 'spire-server'), name);
    await removing;
    expect([...ofGone('persistentvolumeclaims'), ...ofGone('services')]).toEqual([]);
    expect(api.names()).toEqual(
      expect.arrayContaining(
        ['data-spire-db-0', 'data-spire-server-0'].map((name) => `persistentvolumeclaims spire-server/${name}`),
      ),
    );
    expect(await activities.readCluster(within)).toMatchObject({ left: [], servers: [{ name: 'spire-server-0' }] });
  });
});
