import { describe, expect, it } from 'vitest';
import type { RenderedResource } from '../../../activities/registration/custom-resources/render-cluster.ts';
import type { WantedStatus } from '../../../activities/registration/custom-resources/statuses.ts';
import { createOwnership } from '../../../activities/registration/entries/ownership.ts';
import type { DeclaredEntry } from '../../../activities/registration/entries/wanted-entry.ts';
import type {
  DeclaredRelationship,
  RelationshipRecord,
} from '../../../activities/registration/federation/plan-relationships.ts';
import type { ClusterSource, ClusterView } from '../../../activities/registration/reconcile/ports.ts';
import { createReconciler } from '../../../activities/registration/reconcile/reconciler.ts';
import type { ReconcilerOptions } from '../../../activities/registration/reconcile/reconciler.ts';
import { createFakeRegistrationServer } from '../../fakes/fake-registration-server.ts';
import { attributes, by, declared } from './wanted.ts';

interface FakeCluster extends ClusterSource {
  view: ClusterSource['view'];
  declared: DeclaredEntry[];
  relationships: DeclaredRelationship[];
  resources: RenderedResource[];
  isKnown: boolean;
  readonly written: WantedStatus[];
}

function createCluster(name: string): FakeCluster {
  const cluster: FakeCluster = {
    name,
    federates: true,
    declared: [],
    relationships: [],
    resources: [],
    isKnown: true,
    written: [],
    view: (): ClusterView | undefined => (cluster.isKnown ? { ...cluster, faults: [] } : undefined),
    writeStatuses: async (statuses) => void cluster.written.push(...statuses),
  };
  return cluster;
}

function setUp(more: Partial<ReconcilerOptions> = {}) {
  const server = createFakeRegistrationServer();
  const [demo, prod] = [createCluster('demo'), createCluster('prod')];
  const world = { now: 0, ids: 0, record: {} as RelationshipRecord, said: [] as string[] };
  const clusters = [demo, prod];
  const create = (changed: Partial<ReconcilerOptions> = {}) =>
    createReconciler({
      server,
      clusters,
      ledger: { read: async () => world.record, write: async (record) => void (world.record = record) },
      ownerOf: createOwnership({ entryIdPrefix: 'registration', trustDomain: 'example.org', clusters }),
      entryIdPrefix: 'registration',
      takesOver: false,
      guard: { share: 0.5, always: 10, accepted: new Set() },
      dryRun: false,
      relistMs: 30_000,
      clock: () => world.now,
      createUuid: () => `u-${(world.ids += 1)}`,
      say: (level, message, fields) => world.said.push(`${level} ${message} ${JSON.stringify(fields)}`),
      ...more,
      ...changed,
    });
  const pods = (count: number, cluster = 'demo') =>
    Array.from({ length: count }, (_, i) => declared(`${cluster}-${i}`, by(`r-${cluster}`, { cluster })));
  return { server, demo, prod, world, create, pods, idsOf: () => [...server.entries.keys()].sort() };
}

const relationship = (trustDomain: string): DeclaredRelationship => ({
  relationship: { trustDomain, url: `https://${trustDomain}`, endpointId: undefined, bundle: undefined },
  by: by(trustDomain, { cluster: 'demo' }),
});

describe('a round', () => {
  it('makes the wanted entries stand, and the next does nothing', async () => {
    const { server, demo, create, pods, idsOf } = setUp();
    demo.declared = pods(3);
    const reconciler = create();
    expect((await reconciler.round()).applied).toMatchObject({ created: 3, updated: 0, removed: 0, failed: [] });
    expect(idsOf()).toEqual(['registration.demo.u-1', 'registration.demo.u-2', 'registration.demo.u-3']);
    server.calls.length = 0;
    expect((await reconciler.round()).applied).toMatchObject({ created: 0, updated: 0, removed: 0 });
    expect(server.calls).toEqual(['listRelationships']);
  });

  it('costs one call where one pod changes', async () => {
    const { server, demo, create, pods } = setUp();
    demo.declared = pods(20);
    const reconciler = create();
    await reconciler.round();
    server.calls.length = 0;
    demo.declared = pods(19);
    await reconciler.round();
    expect(server.calls).toEqual(['listRelationships', 'deleteEntries']);
  });

  it('creates before it deletes, so that nobody is without an identity', async () => {
    const { server, demo, create } = setUp();
    demo.declared = [declared('a', by('r'), { selectors: [{ type: 'k8s', value: 'pod-uid:1' }] })];
    const reconciler = create();
    await reconciler.round();
    demo.declared = [declared('b', by('r'), { selectors: [{ type: 'k8s', value: 'pod-uid:1' }] })];
    await reconciler.round();
    expect(server.calls.slice(-2)).toEqual(['createEntries', 'deleteEntries']);
  });

  it('sees what somebody else did to the entries at the next list, and mends it', async () => {
    const { server, demo, world, create, pods } = setUp();
    demo.declared = pods(2);
    const reconciler = create();
    await reconciler.round();
    server.entries.clear();
    await reconciler.round();
    expect(server.entries.size).toBe(0);
    world.now += 30_000;
    await reconciler.round();
    expect(server.entries.size).toBe(2);
  });

  it('leaves a cluster alone whose objects are not all known, and says so', async () => {
    const { server, demo, prod, create, pods } = setUp();
    [demo.declared, prod.declared] = [pods(2), pods(2, 'prod')];
    await create().round();
    [prod.declared, prod.isKnown] = [[], false];
    const { applied, waitingFor } = await create().round();
    expect([applied.removed, waitingFor, server.entries.size]).toEqual([0, ['prod'], 4]);
  });

  it('in a dry run makes the same plan and changes nothing', async () => {
    const { server, demo, world, create, pods } = setUp({ dryRun: true });
    server.put('registration.demo.old', attributes('old'));
    demo.declared = pods(2);
    demo.relationships = [relationship('a.org')];
    demo.resources = [{ by: by('r-demo'), resource: { metadata: { name: 'r-demo', uid: 'r' } } }];
    const { plan, applied } = await create().round();
    expect([plan.create.length, plan.remove.length, applied.created, applied.removed]).toEqual([2, 1, 0, 0]);
    expect([...new Set(server.calls)]).toEqual(['listRelationships', 'listEntries']);
    expect([demo.written, world.record]).toEqual([[], {}]);
  });
});

describe('a refused entry', () => {
  it('stops no other, is counted, and is tried again later and later', async () => {
    const { server, demo, world, create, pods } = setUp();
    demo.declared = pods(3);
    demo.resources = [{ by: by('r-demo'), resource: { metadata: { name: 'r-demo', uid: 'r' } } }];
    server.refused.add('spiffe://example.org/demo-1');
    const reconciler = create();
    const first = await reconciler.round();
    expect([first.applied.created, first.applied.failed.length, first.retryAt]).toEqual([2, 1, 1000]);
    expect(demo.written.at(-1)?.status).toMatchObject({ stats: { entriesToSet: 3, entryFailures: 1 } });
    server.calls.length = 0;
    expect((await reconciler.round()).applied.failed).toHaveLength(1);
    expect(server.calls).not.toContain('createEntries');
    world.now = 1000;
    expect((await reconciler.round()).retryAt).toBe(3000);
    server.refused.clear();
    world.now = 3000;
    expect((await reconciler.round()).applied).toMatchObject({ created: 1, failed: [] });
    expect(world.said.filter((line) => line.includes('entry was not created'))).toHaveLength(2);
  });

  it('that somebody else made meanwhile is found at the next round', async () => {
    const { server, demo, create, pods } = setUp();
    const reconciler = create();
    await reconciler.round();
    server.put('theirs', attributes('demo-0'));
    demo.declared = pods(1);
    expect((await reconciler.round()).applied.failed).toHaveLength(1);
    expect((await reconciler.round()).plan.standing).toHaveLength(1);
  });
});

describe('faults', () => {
  it('are told when they come, fifty of them, and how many more there are', async () => {
    const { demo, world, create } = setUp();
    const faults = Array.from({ length: 60 }, (_, i) => ({ by: `pod ${i}`, field: 'f', reason: 'r' }));
    demo.view = () => ({ ...demo, faults });
    const reconciler = create();
    await reconciler.round();
    expect(world.said).toHaveLength(51);
    expect(world.said.at(-1)).toBe('warn more cannot be registered {"more":10}');
    await reconciler.round();
    expect(world.said).toHaveLength(51);
  });
});

describe('a server that is away', () => {
  it('fails the round, and everything is listed again when it is back', async () => {
    const { server, demo, create, pods } = setUp();
    demo.declared = pods(2);
    const reconciler = create();
    await reconciler.round();
    server.isAway = true;
    await expect(reconciler.round()).rejects.toThrow('the server is away');
    server.isAway = false;
    server.entries.clear();
    expect((await reconciler.round()).applied.created).toBe(2);
  });
});

describe('the loss of most entries', () => {
  it('is held and told once, until somebody accepts it, once', async () => {
    const { server, demo, world, create, pods } = setUp();
    demo.declared = pods(30);
    const reconciler = create();
    await reconciler.round();
    demo.declared = [];
    for (let round = 0; round < 2; round += 1)
      expect((await reconciler.round()).held).toEqual([{ cluster: 'demo', wouldGo: 30, of: 30 }]);
    expect(server.entries.size).toBe(30);
    expect(world.said.filter((line) => line.includes('--accept-loss demo'))).toHaveLength(1);
    const accepting = create({ guard: { share: 0.5, always: 10, accepted: new Set(['demo']) } });
    expect((await accepting.round()).applied.removed).toBe(30);
    demo.declared = pods(30);
    await accepting.round();
    demo.declared = [];
    expect((await accepting.round()).held).toHaveLength(1);
  });
});

describe('statuses', () => {
  const of = (name: string, status?: object): RenderedResource => ({
    by: by(name),
    resource: { metadata: { name, uid: name }, status },
    counts: { namespacesSelected: 1, namespacesIgnored: 0, podsSelected: 1, podEntryRenderFailures: 0 },
  });

  it('say what was selected, masked, set and refused', async () => {
    const { server, demo, create } = setUp();
    server.put('theirs', attributes('taken'));
    demo.declared = [
      declared('a', by('first', { createdAt: 1 })),
      declared('a', by('second', { createdAt: 2 })),
      declared('taken', by('second', { createdAt: 2 }), { hint: 'otherwise' }),
    ];
    demo.resources = [of('first'), of('second')];
    const { faults } = await create().round();
    const selected = { namespacesSelected: 1, namespacesIgnored: 0, podsSelected: 1, podEntryRenderFailures: 0 };
    expect(demo.written.map(({ of: { by: who }, status }) => [who.name, status])).toEqual([
      ['first', { stats: { ...selected, entriesMasked: 0, entriesToSet: 1, entryFailures: 0 } }],
      ['second', { stats: { ...selected, entriesMasked: 1, entriesToSet: 1, entryFailures: 1 } }],
    ]);
    expect(faults).toEqual([
      {
        by: 'demo: ClusterSPIFFEID second',
        field: 'hint',
        reason: "entry theirs for spiffe://example.org/taken is somebody else's and otherwise",
      },
    ]);
  });

  it('of static entries say whether they were rendered, masked and set', async () => {
    const { server, demo, create } = setUp();
    server.refused.add('spiffe://example.org/refused');
    const kind = 'ClusterStaticEntry' as const;
    const [first, second, broken] = [
      by('first', { kind, createdAt: 1 }),
      by('second', { kind, createdAt: 2 }),
      by('broken', { kind }),
    ];
    const refused = by('refused', { kind });
    demo.declared = [declared('a', first), declared('a', second), declared('refused', refused)];
    const resource = { metadata: { name: 'x', uid: 'x' } };
    demo.resources = [
      { by: first, resource, rendered: true },
      { by: second, resource, rendered: true },
      { by: broken, resource, rendered: false },
      { by: refused, resource, rendered: true },
    ];
    await create().round();
    expect(demo.written.map(({ status }) => status)).toEqual([
      { rendered: true, masked: false, set: true },
      { rendered: true, masked: true, set: false },
      { rendered: false, masked: false, set: false },
      { rendered: true, masked: false, set: false },
    ]);
  });

  it('are written only where they change', async () => {
    const { demo, create } = setUp();
    demo.declared = [declared('a', by('first'))];
    demo.resources = [of('first')];
    await create().round();
    demo.resources = [of('first', { ...demo.written[0]?.status, conditions: ['somebody else’s'] })];
    demo.written.length = 0;
    await create().round();
    expect(demo.written).toEqual([]);
  });
});

describe('federation', () => {
  it('comes before the entries, is recorded, and goes with its resource', async () => {
    const { server, demo, world, create, pods } = setUp();
    demo.declared = pods(1);
    demo.relationships = [relationship('a.org')];
    await create().round();
    expect(server.calls.indexOf('createRelationships')).toBeLessThan(server.calls.indexOf('createEntries'));
    expect(world.record).toEqual({ 'a.org': '' });
    demo.relationships = [];
    await create().round();
    expect([[...server.relationships.keys()], world.record]).toEqual([[], {}]);
  });

  it('of somebody else stays', async () => {
    const { server, create } = setUp();
    server.relationships.set('theirs.org', relationship('theirs.org').relationship);
    await create().round();
    expect([...server.relationships.keys()]).toEqual(['theirs.org']);
  });

  it('stays while another cluster is not known', async () => {
    const { server, demo, prod, create } = setUp();
    demo.relationships = [relationship('a.org')];
    await create().round();
    [demo.relationships, prod.isKnown] = [[], false];
    await create().round();
    expect(server.relationships.size).toBe(1);
  });

  it('is not asked about where no cluster may federate', async () => {
    const plain = { ...createCluster('demo'), federates: false };
    const { server, create } = setUp({ clusters: [plain] });
    await create().round();
    expect(server.calls).toEqual(['listEntries']);
  });
});
