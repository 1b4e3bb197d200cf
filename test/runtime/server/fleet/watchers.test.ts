// Whom the server tells that something changed for it, and when a watch ends. Cache, CA and bundles are values that the test changes.
import { beforeEach, describe, expect, test } from 'vitest';
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../../../proto/gen/spire/api/types/status.ts';
import type { WatchResponse } from '../../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { RpcError } from '../../../../runtime/rpc/status.ts';
import { permissionDenied, statusCode } from '../../../../runtime/rpc/status.ts';
import { createWatchers } from '../../../../runtime/server/fleet/watchers.ts';
import type { Watchers, WatchLimits } from '../../../../runtime/server/fleet/watchers.ts';
import { EntryIndex } from '../../../../runtime/server/store/entry-index.ts';
import type { CacheChange } from '../../../../runtime/server/store/authorized-entries.ts';
import type { AgentRecord, EntryRecord } from '../../../../runtime/server/store/records.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { eventually } from '../../../support/eventually.ts';
import { agentRecord, issueLeaf, now, trustDomain } from '../api/callers.ts';

const agentId = 'spiffe://example.org/spire/agent/x509pop/a';
const otherId = 'spiffe://example.org/spire/agent/x509pop/b';
const downstreamId = 'spiffe://example.org/below';
const leafOf = new Map([agentId, otherId, downstreamId].map((id) => [id, issueLeaf(id)]));

function entry(id: string, parentId: string, more: Partial<EntryRecord> = {}): EntryRecord {
  return {
    id,
    spiffeId: `spiffe://example.org/${id}`,
    parentId,
    selectors: [{ type: 'unix', value: 'uid:0' }],
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    expiresAt: 0,
    createdAt: 1,
    dnsNames: [],
    hint: '',
    revisionNumber: 0,
    ...more,
  };
}

/** A server's state, of which a change is told as the server's own parts tell it. */
function createWorld(limits: Partial<WatchLimits> = {}) {
  const index = new EntryIndex();
  const onCache = new Set<(change: CacheChange) => void>();
  const onBundle = new Set<() => void>();
  const onFederated = new Set<() => void>();
  const state = {
    clock: now,
    bundle: { ...emptyBundle(trustDomain), sequenceNumber: 1 },
    others: new Map<string, string>(),
  };
  /** What the store says of an agent that the cache doubts. */
  let confirm: (id: string) => Promise<void> = (id) => Promise.reject(permissionDenied(`store has no ${id}`));
  const seconds = () => Math.floor(state.clock / 1000);
  const rights = (id: string) => [...index.entriesFor(id)].some(({ downstream }) => downstream);
  const listenTo =
    <T>(listeners: Set<T>) =>
    (listener: T) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    };
  const watchers: Watchers = createWatchers({
    cache: {
      agent: (id) => index.agent(id),
      authorizedEntries: (id) => index.authorized(id, seconds()).list,
      entriesFor: (id) => index.entriesFor(id),
      isDownstream: rights,
      onChange: listenTo(onCache),
    },
    authority: { bundle: () => state.bundle, onBundle: listenTo(onBundle) },
    federated: { of: (name) => state.others.get(name) ?? '', onChange: (listener) => void onFederated.add(listener) },
    confirmAgent: ({ id }) => confirm(String(id)),
    clock: () => state.clock,
    limits,
  });
  const tell = (change: Partial<CacheChange>) => {
    for (const listener of onCache) listener({ all: false, entries: [], agents: new Set(), ...change });
  };
  return {
    state,
    watchers,
    tell,
    confirmWith: (act: typeof confirm) => void (confirm = act),
    set(...entries: EntryRecord[]) {
      const before = entries.flatMap(({ id }) => index.entry(id) ?? []);
      for (const one of entries) index.setEntry(one);
      tell({ entries: [...before, ...entries] });
    },
    remove(id: string) {
      const before = index.entry(id)!;
      index.removeEntry(id);
      tell({ entries: [before] });
    },
    setAgent(id: string, patch: Partial<AgentRecord> = {}) {
      index.setAgent(agentRecord(id, leafOf.get(id)!, patch));
      tell({ agents: new Set([id]) });
    },
    removeAgent(id: string) {
      index.removeAgent(id);
      tell({ agents: new Set([id]) });
    },
    changeBundle() {
      state.bundle = { ...state.bundle, sequenceNumber: state.bundle.sequenceNumber + 1 };
      for (const listener of onBundle) listener();
    },
    changeFederated(name: string) {
      state.others.set(name, `${state.others.get(name) ?? ''}x`);
      for (const listener of onFederated) listener();
    },
  };
}

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
  for (const id of [agentId, otherId]) world.setAgent(id, { selectors: [{ type: 'node', value: id }] });
});

/** A watch that is read in the background. */
function open(id: string, { revision = '', in: { watchers } = world } = {}) {
  const messages: WatchResponse[] = [];
  const stop = new AbortController();
  const svid = { id: parseSpiffeId(id), leaf: leafOf.get(id)! };
  const ended = (async () => {
    for await (const message of watchers.watch(svid, revision, stop.signal)) messages.push(message);
  })().catch((error: unknown) => error as RpcError);
  return {
    messages,
    ended,
    stop: () => stop.abort(new Error('enough')),
    revision: () => messages.at(-1)?.revision ?? '',
  };
}

/** Longer than the pause between two messages: what is not told by then is not told. */
const settled = (ms = 100) => new Promise((resolve) => setTimeout(resolve, ms));
/** Which parts the messages after the first tell of: these, and nothing more follows. */
async function expectTold(watch: ReturnType<typeof open>, ...expected: readonly string[]): Promise<void> {
  const told = () =>
    watch.messages
      .slice(1)
      .map((message) => `${message.entriesChanged ? 'entries' : ''}${message.bundlesChanged ? 'bundles' : ''}`);
  await eventually(() => expect(told()).toEqual(expected));
  await settled();
  expect(told()).toEqual(expected);
}
const reasonOf = ({ details }: RpcError) => PermissionDeniedDetails.decode(details[0]!.value).reason;

describe('the first message', () => {
  test('comes at once, and tells a caller without a revision to fetch everything', async () => {
    const watch = open(agentId);
    await settled(10);
    expect(watch.messages).toMatchObject([{ entriesChanged: true, bundlesChanged: true }]);
  });

  test('tells a caller that has missed nothing to fetch nothing', async () => {
    const first = open(agentId);
    await settled(10);
    const again = open(agentId, { revision: first.revision() });
    await settled(10);
    expect(again.messages).toEqual([{ revision: first.revision(), entriesChanged: false, bundlesChanged: false }]);
  });

  test.each([
    ['an entry', () => world.set(entry('e', agentId)), { entriesChanged: true, bundlesChanged: false }],
    ['the bundle', () => world.changeBundle(), { entriesChanged: false, bundlesChanged: true }],
  ])('tells a caller that comes back what it missed: %s', async (_, change, expected) => {
    const first = open(agentId);
    await settled(10);
    first.stop();
    await first.ended;
    change();
    const again = open(agentId, { revision: first.revision() });
    await settled(10);
    expect(again.messages).toMatchObject([expected]);
  });

  test('is the same at every server that knows the same', async () => {
    const beside = createWorld();
    beside.setAgent(agentId);
    for (const one of [world, beside]) one.set(entry('e', agentId));
    const [here, there] = [open(agentId), open(agentId, { in: beside })];
    await settled(10);
    expect(here.revision()).toBe(there.revision());
  });
});

describe('an agent is told', () => {
  test('of an entry of its own that comes, changes or goes, and not of its neighbour’s', async () => {
    const [mine, neighbours] = [open(agentId), open(otherId)];
    await settled();
    world.set(entry('e', agentId));
    await expectTold(mine, 'entries');
    world.set(entry('e', agentId, { revisionNumber: 1 }));
    await expectTold(mine, 'entries', 'entries');
    world.remove('e');
    await expectTold(mine, 'entries', 'entries', 'entries');
    await expectTold(neighbours);
  });

  test('of an entry that moves to it, and the agent that loses it too', async () => {
    world.set(entry('e', otherId));
    const [gains, loses] = [open(agentId), open(otherId)];
    await settled();
    world.set(entry('e', agentId, { revisionNumber: 1 }));
    await expectTold(gains, 'entries');
    await expectTold(loses, 'entries');
  });

  test('of what hangs on it by a node alias and by other entries, and of the alias itself', async () => {
    const selectors = [{ type: 'node', value: agentId }];
    const [mine, neighbours] = [open(agentId), open(otherId)];
    await settled();
    world.set(entry('team', 'spiffe://example.org/nodes'));
    await expectTold(mine);
    world.set(entry('nodes', 'spiffe://example.org/spire/server', { selectors }));
    await expectTold(mine, 'entries');
    world.set(entry('deep', 'spiffe://example.org/team'));
    await expectTold(mine, 'entries', 'entries');
    world.remove('nodes');
    await expectTold(mine, 'entries', 'entries', 'entries');
    await expectTold(neighbours);
  });

  test('of its selectors that changed', async () => {
    world.set(entry('nodes', 'spiffe://example.org/spire/server', { selectors: [{ type: 'node', value: 'new' }] }));
    world.set(entry('below-nodes', 'spiffe://example.org/nodes'));
    const watch = open(agentId);
    await settled();
    world.setAgent(agentId, { selectors: [{ type: 'node', value: 'new' }] });
    await expectTold(watch, 'entries');
  });

  test('of a foreign bundle only where one of its entries federates with it', async () => {
    world.set(entry('e', agentId, { federatesWith: ['other.test'] }));
    const [federates, doesNot] = [open(agentId), open(otherId)];
    await settled();
    world.changeFederated('other.test');
    world.changeFederated('third.test');
    await expectTold(federates, 'bundles');
    await expectTold(doesNot);
  });

  test('once of many changes that come together', async () => {
    const watch = open(agentId);
    await settled();
    for (let i = 0; i < 100; i += 1) world.set(entry(`e${i}`, agentId));
    world.changeBundle();
    await expectTold(watch, 'entriesbundles');
  });

  test('of an entry that expires, of which nobody tells the server', async () => {
    const expiresAt = Math.floor(Date.now() / 1000) + 1;
    world.set(entry('e', agentId, { expiresAt }));
    world.state.clock = expiresAt * 1000 - 20;
    const watch = open(agentId);
    await settled(10);
    world.state.clock += 30;
    await expectTold(watch, 'entries');
  });

  test('of everything that it missed, where the server itself missed changes', async () => {
    const watch = open(agentId);
    await settled();
    world.changeBundle();
    world.tell({ all: true });
    await expectTold(watch, 'bundles');
  });
});

describe('a downstream server', () => {
  beforeEach(() => world.set(entry('below', agentId, { downstream: true })));

  test('is told of the bundle, and of no entries', async () => {
    const watch = open(downstreamId);
    await settled();
    world.set(entry('e', agentId));
    world.changeBundle();
    await expectTold(watch, 'bundles');
  });

  test('that loses the entry that made it one is told to go', async () => {
    const watch = open(downstreamId);
    await settled();
    world.set(entry('below', agentId));
    expect(await watch.ended).toMatchObject({
      code: statusCode.PERMISSION_DENIED,
      message: `${downstreamId} is no downstream server`,
    });
  });
});

describe('a watch ends when the agent', () => {
  const ends: [string, () => void, Reason][] = [
    ['is banned', () => world.setAgent(agentId, { banned: true }), Reason.AGENT_BANNED],
    ['is evicted', () => world.removeAgent(agentId), Reason.AGENT_NOT_ATTESTED],
    ['has a newer SVID', () => world.setAgent(agentId, { x509SvidSerialNumber: '1' }), Reason.AGENT_NOT_ACTIVE],
  ];
  test.each(ends)('%s', async (_, change, reason) => {
    const [watch, neighbours] = [open(agentId), open(otherId)];
    await settled();
    change();
    const error = await watch.ended;
    expect([error?.code, reasonOf(error!)]).toEqual([statusCode.PERMISSION_DENIED, reason]);
    await expectTold(neighbours);
    expect(world.watchers.count()).toBe(1);
    neighbours.stop();
  });

  test('has an SVID that expired', async () => {
    world.state.clock = leafOf.get(agentId)!.notAfter - 20;
    const watch = open(agentId);
    await settled(10);
    world.state.clock += 30;
    expect(reasonOf((await watch.ended)!)).toBe(Reason.AGENT_EXPIRED);
  });

  test('gives up, and leaves nothing behind', async () => {
    const watch = open(agentId);
    await settled(10);
    watch.stop();
    expect(await watch.ended).toBeInstanceOf(Error);
    expect(world.watchers.count()).toBe(0);
  });

  test('waits at a server that stops', async () => {
    const watch = open(agentId);
    await settled();
    world.watchers.close();
    expect(await watch.ended).toMatchObject({ code: statusCode.UNAVAILABLE, message: 'server is stopping' });
  });
});

describe('an agent that the cache does not know', () => {
  beforeEach(() => world.removeAgent(agentId));

  test('is refused as the store refuses it', async () => {
    expect(await open(agentId).ended).toMatchObject({ message: `store has no ${agentId}` });
    expect(world.watchers.count()).toBe(0);
  });

  test('may watch where the store knows it, and is told once the cache does', async () => {
    world.confirmWith(() => Promise.resolve());
    world.set(entry('nodes', 'spiffe://example.org/spire/server', { selectors: [{ type: 'node', value: 'n' }] }));
    world.set(entry('below-nodes', 'spiffe://example.org/nodes'));
    const watch = open(agentId);
    await settled();
    world.setAgent(agentId, { selectors: [{ type: 'node', value: 'n' }] });
    await expectTold(watch, 'entries');
    watch.stop();
  });
});

test.each([
  ['of one ID', { perId: 1 }, agentId, `there are 1 watchers of ${agentId} already`],
  ['in all', { total: 1 }, otherId, 'there are 1 watchers already'],
])('watchers are counted: too many %s are refused', async (_, limits, second, message) => {
  world = createWorld(limits);
  for (const id of [agentId, otherId]) world.setAgent(id);
  const first = open(agentId);
  await settled(10);
  expect(await open(second).ended).toMatchObject({ code: statusCode.RESOURCE_EXHAUSTED, message });
  first.stop();
  await first.ended;
  const again = open(second);
  await settled(10);
  expect(again.messages).toHaveLength(1);
});
