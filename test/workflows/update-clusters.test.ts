// Clusters of a living trust domain changed into what a new specification says, on a real Temporal server and a fake world: what is left is what a bootstrap of
// that specification would have made.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeptUpdateReport } from '../../workflows/update/report.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';
import { bootstrapped } from '../support/bootstrapped-world.ts';
import { clusteredSpec, spec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { failureOf } from '../support/workflow-failure.ts';

let temporal: TestTemporal;
let runs = 0;
beforeAll(async () => {
  temporal = await startTestTemporal();
});
afterAll(() => temporal.close());

const { clusters, workloads } = clusteredSpec();
const [shop] = clusters as [(typeof clusters)[number]];
const depot = { ...shop, name: 'depot', context: 'depot', servers: 1 };
const workload = (segment: string, name: string, selectors = [`k8s:sa:${name}`]) => ({
  ...{ segment, environment: 'prod' as const, team: 'demo', name },
  selectors,
});
const [, , till] = workloads as [object, object, ReturnType<typeof workload>];

const ownSpec = () => {
  runs += 1;
  return { ...spec, clusters, workloads, trustDomain: `clusters-that-change-${runs}.example.org` };
};
type Input = Omit<ReturnType<typeof ownSpec>, 'clusters' | 'workloads'> & { clusters?: object; workloads: object };

const withoutClusters = ({ trustDomain }: Input): Input => ({ ...spec, trustDomain });

/** As a bootstrap leaves it. */
const grown = (input: Input): Promise<FakeWorld> => bootstrapped(input);

async function update(world: FakeWorld, asked: Input, more: object = {}): Promise<KeptUpdateReport> {
  const { trustDomain } = asked;
  const request = { spec: asked, policy: { approvals: 'none' }, ...more };
  return temporal.withWorkers(world, async () => {
    const options = { args: [request], taskQueue: 'control', workflowId: `updateTrustDomain/${trustDomain}` };
    const handle = await temporal.environment.client.workflow.start('updateTrustDomain', options);
    return (await handle.result()) as KeptUpdateReport;
  });
}

/** What there is, without who made it. */
const stateOf = ({ things, entries, clusters: { states } }: FakeWorld) => ({
  things: [...things].toSorted(),
  entries: [...entries.values()]
    .map(({ spiffeId, parentId, selectors }) => `${spiffeId} below ${parentId} for ${selectors.join(' ')}`)
    .toSorted(),
  clusters: Object.fromEntries(states),
});

const effects = (world: FakeWorld, from: number): string[] =>
  world.calls.slice(from).filter((call) => / (ensure|remove|place|delete|write|apply)/.test(call));

/** Each with what the steps say. */
const changes: readonly [string, (input: Input) => Input, (prefix: string) => readonly string[]][] = [
  [
    'a workload that is added',
    (input) => ({ ...input, workloads: [...workloads, workload('shop', 'stock')] }),
    (prefix) => [`register ${prefix}/stock in cluster shop`],
  ],
  [
    'a workload with other selectors: the new entry first, then the old one goes',
    (input) => ({ ...input, workloads: [...workloads.slice(0, 2), { ...till, selectors: ['k8s:sa:other'] }] }),
    (prefix) => [`register ${prefix}/till in cluster shop`, `take ${prefix}/till from cluster shop`],
  ],
  [
    'a workload that goes',
    (input) => ({ ...input, workloads: workloads.slice(0, 2) }),
    (prefix) => [`take ${prefix}/till from cluster shop`],
  ],
  [
    'another image',
    (input) => ({ ...input, clusters: [{ ...shop, image: 'espalier-runtime:0.2.0' }] }),
    () => ['roll cluster shop to espalier-runtime:0.2.0'],
  ],
  [
    'more servers',
    (input) => ({ ...input, clusters: [{ ...shop, servers: 4 }] }),
    () => ['add server spire-server-2 to cluster shop', 'add server spire-server-3 to cluster shop'],
  ],
  [
    'fewer servers',
    (input) => ({ ...input, clusters: [{ ...shop, servers: 1 }] }),
    () => ['take server spire-server-1 from cluster shop'],
  ],
  [
    'everything at once',
    (input) => ({
      ...input,
      clusters: [{ ...shop, servers: 1, image: 'espalier-runtime:0.2.0' }],
      workloads: [...workloads.slice(0, 2), workload('shop', 'stock')],
    }),
    (prefix) => [
      'roll cluster shop to espalier-runtime:0.2.0',
      `register ${prefix}/stock in cluster shop`,
      `take ${prefix}/till from cluster shop`,
      'take server spire-server-1 from cluster shop',
    ],
  ],
  [
    'a cluster that goes',
    (input) => withoutClusters(input),
    () => ["take away cluster shop: its workloads' entries, its agents, 2 servers, their database"],
  ],
];

describe('an update of clusters', () => {
  it('that are as they are wanted does nothing and says so', async () => {
    const input = ownSpec();
    const world = await grown(input);
    const before = world.calls.length;
    expect(await update(world, input)).toMatchObject({ outcome: 'nothing differs', steps: [], left: [] });
    expect(effects(world, before)).toEqual([]);
  });

  it.each(changes)('makes of one what a bootstrap would have: %s', async (_, change, steps) => {
    const input = ownSpec();
    const world = await grown(input);
    const wanted = change(input);
    const before = world.calls.length;
    const prefix = `spiffe://${input.trustDomain}/prod/onprem/demo`;
    const rehearsed = await update(world, wanted, { dryRun: true });
    expect(rehearsed).toMatchObject({ outcome: 'dry run', refusals: [], steps: steps(prefix) });
    expect(effects(world, before)).toEqual([]);
    expect(await update(world, wanted)).toMatchObject({ outcome: 'updated', steps: steps(prefix), left: [] });
    expect(stateOf(world)).toEqual(stateOf(await grown(wanted)));
    expect(await update(world, wanted)).toMatchObject({ outcome: 'nothing differs' });
  });

  it('leaves alone what somebody else has registered there, and says so', async () => {
    const input = ownSpec();
    const world = await grown(input);
    const id = `spiffe://${input.trustDomain}/mine`;
    const parentId = [...world.entries.values()].find(({ spiffeId }) => spiffeId.endsWith('/till'))?.parentId ?? '';
    world.entries.set('mine', { spiffeId: id, parentId, selectors: ['unix:uid:7'], isOurs: false });
    const report = await update(world, { ...input, workloads: workloads.slice(0, 2) });
    expect(report.left).toEqual([`${id} below shop`]);
    expect(world.entries.has('mine')).toBe(true);
  });

  it('takes the last cluster of two and leaves the other, whose context is another', async () => {
    const input = { ...ownSpec(), clusters: [shop, depot] };
    const world = await grown(input);
    const wanted = { ...input, clusters: [shop] };
    const report = await update(world, wanted);
    expect(report.steps).toEqual([
      "take away cluster depot: its workloads' entries, its agents, 1 servers, their database",
    ]);
    expect(stateOf(world)).toEqual(stateOf(await grown(wanted)));
  });
});

describe('the order', () => {
  it('is that of growth: servers and their identities, then agents, and everything is proven before anything goes', async () => {
    const input = ownSpec();
    const world = await grown({ ...input, clusters: [{ ...shop, servers: 3 }] });
    const before = world.calls.length;
    await update(world, {
      ...input,
      clusters: [{ ...shop, servers: 1, image: 'a:2' }],
      workloads: [...workloads.slice(0, 2), workload('shop', 'stock')],
    });
    const calls = world.calls.slice(before);
    const [rolled, shrunk] = calls.flatMap((call, index) => (call === 'kubernetes ensureClusterServer' ? [index] : []));
    const at = (call: string): number => calls.indexOf(call);
    expect(at('control waitForAgent')).toBeGreaterThan(rolled!);
    expect(at('kubernetes ensureClusterAgents')).toBeGreaterThan(at('control verifyIntermediate'));
    expect(at('control verifyRefusal')).toBeGreaterThan(at('control waitForAttestedAgents'));
    expect(at('control deleteEntries')).toBeGreaterThan(at('control verifyRefusal'));
    expect(at('control ensureBanned')).toBeGreaterThan(at('control deleteEntries'));
    expect(shrunk).toBeGreaterThan(calls.lastIndexOf('control ensureBanned'));
    expect(at('kubernetes removeClusterServers')).toBeGreaterThan(shrunk!);
    expect(at('control ensureEvicted')).toBeGreaterThan(at('kubernetes removeClusterServers'));
    expect(calls.lastIndexOf('control deleteEntries')).toBeGreaterThan(calls.lastIndexOf('control ensureEvicted'));
  });

  it('of a cluster that goes: its workloads’ entries, its agents and servers, and last what these were to the upstream', async () => {
    const input = ownSpec();
    const world = await grown(input);
    const before = world.calls.length;
    const { proofs } = await update(world, withoutClusters(input));
    const calls = world.calls.slice(before);
    const at = (call: string): number => calls.indexOf(call);
    expect(at('control ensureBanned')).toBeGreaterThan(at('control deleteEntries'));
    expect(at('kubernetes removeCluster')).toBeGreaterThan(calls.lastIndexOf('control ensureBanned'));
    expect(at('control ensureEvicted')).toBeGreaterThan(at('kubernetes removeCluster'));
    expect(calls.lastIndexOf('control deleteEntries')).toBeGreaterThan(calls.lastIndexOf('control ensureEvicted'));
    expect(proofs.map(({ of }) => of)).toEqual([
      `spiffe://${input.trustDomain}/prod/onprem/demo/till`,
      ...[0, 1].flatMap((index) => [`node shop/spire-server-${index}`, `server shop/spire-server-${index}`]),
    ]);
    expect(proofs.find(({ of }) => of === 'server shop/spire-server-0')?.notes).toEqual([
      'its CA shop/spire-server-0#ca ends at 2030-01-01T00:00:00.000Z, and its key is gone',
      'its JWT key shop/spire-server-0#ca stays in the bundle until 2030-01-01T00:00:00.000Z',
    ]);
  });
});

describe('a cluster is refused by name, and nothing is changed:', () => {
  const unmade =
    'it has no server, and an update grows none: the upstream attests the servers of those clusters that it was made with, and is not made anew, as its root authority would go with it';
  it.each<[string, object, string]>([
    ['one more', { clusters: [shop, depot] }, `clusters.depot: ${unmade}`],
    [
      'another context',
      { clusters: [{ ...shop, context: 'other' }] },
      'clusters.shop.context: its servers are not in context other, and a cluster does not move',
    ],
    [
      'another platform',
      { clusters: [{ ...shop, platform: 'aws' }] },
      'clusters.shop.platform: its servers are spiffe://example.org/prod/onprem/platform/spire-server-shop to the upstream and do not become spiffe://example.org/prod/aws/platform/spire-server-shop',
    ],
    [
      'another exposure',
      { clusters: [{ ...shop, expose: 'NodePort' }] },
      'clusters.shop.expose: it was made with ClusterIP and NodePort is wanted: while it changes, nobody could reach the servers',
    ],
    [
      'another class of volumes',
      { clusters: [{ ...shop, storageClass: 'fast' }] },
      'clusters.shop.storageClass: it was made with none and fast is wanted: of volumes that are there Kubernetes changes no class',
    ],
    [
      'another life of its intermediates',
      { clusters: [{ ...shop, intermediateTtl: '24h' }] },
      "clusters.shop.intermediateTtl: it was made with 12h and 24h is wanted: its servers keep it, as a segment's do",
    ],
  ])('%s', async (_, change, refusal) => {
    const input = ownSpec();
    const world = await grown(input);
    const before = stateOf(world);
    const failure = await failureOf(update(world, { ...input, ...change }));
    const expected = `nothing was changed: ${refusal.replaceAll('example.org', input.trustDomain)}`;
    expect([failure.type, failure.message]).toEqual(['Blocked', expected]);
    expect(stateOf(world)).toEqual(before);
  });

  it('the first one of a domain that was grown without', async () => {
    const input = ownSpec();
    const world = await grown(withoutClusters(input));
    const failure = await failureOf(update(world, input));
    expect(failure.message).toBe(`nothing was changed: clusters.shop: ${unmade}`);
  });

  it('more servers than the upstream knows certificates of', async () => {
    const input = ownSpec();
    const world = await grown(input);
    const state = world.clusters.states.get('shop')!;
    world.clusters.states.set('shop', { ...state, nodes: ['spire-server-0', 'spire-server-1'] });
    const failure = await failureOf(update(world, { ...input, clusters: [{ ...shop, servers: 3 }] }));
    expect(failure.message).toBe(
      "nothing was changed: clusters.shop.servers: spire-server-2 has no certificate by which the upstream would attest them, and its authority's key is gone: at most 2 can run",
    );
  });
});

describe('a cluster that went without us', () => {
  const lose = (world: FakeWorld): void => {
    for (const thing of world.things) if (thing.startsWith('cluster ')) world.things.delete(thing);
    world.clusters.states.clear();
    for (const [id, entry] of world.entries)
      if (`${entry.spiffeId} ${entry.parentId}`.includes('/spire-nodes-shop')) world.entries.delete(id);
  };

  it('leaves nothing at the upstream', async () => {
    const input = ownSpec();
    const world = await grown(input);
    lose(world);
    const id = `spiffe://${input.trustDomain}/prod/onprem/platform/spire-server-shop`;
    const report = await update(world, withoutClusters(input));
    expect(report.steps).toEqual([`take away what is left of cluster ${id}`]);
    expect(stateOf(world)).toEqual(stateOf(await grown(withoutClusters(input))));
    expect([...world.troubles.evicted]).toEqual(
      [0, 1].map((index) => `spiffe://${input.trustDomain}/spire/agent/x509pop/shop-spire-server-${index}`),
    );
  });

  it('may only not answer: then nothing is changed', async () => {
    const input = ownSpec();
    const world = await grown(input);
    world.clusters.silent.add('shop');
    const before = stateOf(world);
    const failure = await failureOf(update(world, withoutClusters(input)));
    expect(failure.message).toBe(
      'nothing was changed: clusters: one is to go, and it may be where nobody answers: shop: connect ETIMEDOUT',
    );
    expect(stateOf(world)).toEqual(before);
  });

  it('is not looked for where it does not matter that somebody does not answer', async () => {
    const input = ownSpec();
    const world = await grown(input);
    world.clusters.silent.add('a cluster of somebody else');
    expect(await update(world, input)).toMatchObject({ outcome: 'nothing differs' });
  });
});

/** More servers, another image, another workload. */
const larger = (input: Input): Input => ({
  ...input,
  clusters: [{ ...shop, servers: 3, image: 'espalier-runtime:0.2.0' }],
  workloads: [...workloads, workload('shop', 'stock')],
});
/** One server, one workload less, and one cluster less. */
const smaller = (input: Input): Input => ({
  ...input,
  clusters: [{ ...shop, servers: 1 }],
  workloads: workloads.slice(0, 2),
});

describe('a step that fails', () => {
  const narrowing = [
    'control listEntries',
    'control deleteEntries',
    'control readBundle',
    'control ensureBanned',
    'kubernetes ensureClusterServer',
    'kubernetes removeClusterServers',
    'kubernetes removeCluster',
    'control ensureEvicted',
  ];

  it.each(['kubernetes ensureClusterServer', 'kubernetes ensureClusterAgents'])(
    'once, when %s has done all but say so, is tried again',
    async (call) => {
      const input = ownSpec();
      const world = await grown(input);
      world.stumbling = { call, moment: 'after' };
      await update(world, larger(input));
      expect(stateOf(world)).toEqual(stateOf(await grown(larger(input))));
      expect(world.stumbling).toBeUndefined();
    },
  );

  it.each(narrowing.flatMap((call) => [['before', call] as const, ['after', call] as const]))(
    'once, %s it acted, is tried again: %s while it narrows',
    async (moment, call) => {
      const input = { ...ownSpec(), clusters: [shop, depot], workloads: [...workloads, workload('depot', 'crane')] };
      const world = await grown(input);
      world.stumbling = { call, moment };
      await update(world, smaller(input));
      expect(stateOf(world)).toEqual(stateOf(await grown(smaller(input))));
      expect(world.stumbling).toBeUndefined();
    },
  );

  it.each([
    'control waitForAgent',
    'control verifyIntermediate',
    'control waitForAttestedAgents',
    'control verifyRefusal',
  ])('while it widens, %s after its effect, leaves every cluster as it was', async (call) => {
    const input = ownSpec();
    const world = await grown(input);
    const before = stateOf(world);
    world.failing = { call, type: 'InvalidRequest' };
    const failure = await failureOf(update(world, larger(input)));
    expect(failure.message).toBe(`${call} was made to fail`);
    expect(stateOf(world)).toEqual(before);
  });

  it('while another workload is wanted of a name that is there leaves the entry that was', async () => {
    const input = ownSpec();
    const world = await grown(input);
    const before = stateOf(world);
    world.failing = { call: 'control verifyRefusal', type: 'InvalidRequest' };
    const changed = { ...input, workloads: [...workloads.slice(0, 2), { ...till, selectors: ['k8s:sa:other'] }] };
    await failureOf(update(world, changed));
    expect(stateOf(world)).toEqual(before);
  });

  it.each([
    'kubernetes removeCluster',
    'kubernetes removeClusterServers',
    'control deleteEntries',
    'control ensureEvicted',
  ])('while it narrows, %s, is told, and gone on with by the next update', async (call) => {
    const input = { ...ownSpec(), clusters: [shop, depot] };
    const world = await grown(input);
    world.refusing = call;
    const failure = await failureOf(update(world, smaller(input)));
    expect(failure.type).toBe('RollbackIncomplete');
    expect(failure.message).toContain(`(${call} is refused)`);
    world.refusing = undefined;
    expect(await update(world, smaller(input))).toMatchObject({ outcome: 'updated' });
    expect(stateOf(world)).toEqual(stateOf(await grown(smaller(input))));
  });
});
