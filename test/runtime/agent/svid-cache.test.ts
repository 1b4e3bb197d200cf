// What the cache holds, for whom it has SVIDs made, and whom it tells.
import { beforeEach, describe, expect, it } from 'vitest';
import { SvidCache } from '../../../runtime/agent/cache/svid-cache.ts';
import type { WorkloadSvid } from '../../../runtime/agent/cache/workload-svid.ts';
import type { AgentEntry } from '../../../runtime/agent/sync/entry.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSelector } from '../../../runtime/spiffe/selector.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';

const trustDomain = parseTrustDomain('example.org');
const other = parseTrustDomain('other.org');
const bundle = emptyBundle(trustDomain);
let now: number;
let cache: SvidCache;

beforeEach(() => {
  now = 1000;
  cache = new SvidCache({ maxSize: 2, bundle, clock: () => now });
});

function entry(id: string, overrides: Partial<AgentEntry> = {}): AgentEntry {
  return {
    id,
    spiffeId: createSpiffeId(trustDomain, `/${id}`),
    selectors: [parseSelector(`unix:user:${id}`)],
    federatesWith: [],
    revisionNumber: 0,
    createdAt: 1,
    hint: '',
    storeSvid: false,
    disableX509SvidPrefetch: false,
    jwtSvidIncludeJti: false,
    admin: false,
    downstream: false,
    ...overrides,
  };
}

function hold(...entries: AgentEntry[]): void {
  cache.replace(new Map(entries.map((one) => [one.id, one])), bundle, new Map([['other.org', emptyBundle(other)]]));
}

function svidOf(one: AgentEntry, overrides: Partial<WorkloadSvid> = {}): WorkloadSvid {
  const { spiffeId, revisionNumber, createdAt } = one;
  return {
    spiffeId,
    revisionNumber,
    createdAt,
    chain: [],
    serialNumber: '1',
    privateKey: new Uint8Array(),
    notBefore: 0,
    notAfter: 9000,
    renewAt: 5000,
    ...overrides,
  };
}

function sign(...entries: AgentEntry[]): void {
  cache.store(new Map(entries.map((one) => [one.id, svidOf(one)])), []);
}

const staleIds = () => cache.stale().map(({ id }) => id);
const idsFor = (...selectors: string[]) => cache.matching(selectors.map(parseSelector)).map(({ id }) => id);

describe('matching', () => {
  it('wants all selectors of an entry, and may have more', () => {
    hold(
      entry('a', { selectors: ['unix:uid:1', 'unix:gid:1'].map(parseSelector) }),
      entry('b', { selectors: [parseSelector('unix:gid:1')] }),
    );
    expect(idsFor('unix:uid:1')).toEqual([]);
    expect(idsFor('unix:gid:1')).toEqual(['b']);
    expect(idsFor('unix:gid:1', 'unix:uid:1', 'unix:x:1')).toEqual(['a', 'b']);
  });

  it('never finds an entry without selectors, nor one for a secret store', () => {
    hold(entry('none', { selectors: [] }), entry('store', { storeSvid: true }));
    expect(idsFor('unix:user:none', 'unix:user:store')).toEqual([]);
  });
});

describe('stale', () => {
  it('are entries without SVID, due, of an old revision, or remade under the same id', () => {
    const a = entry('a');
    hold(a);
    expect(staleIds()).toEqual(['a']);
    sign(a);
    expect(staleIds()).toEqual([]);
    now = 5000;
    expect(staleIds()).toEqual(['a']);
    now = 1000;
    hold(entry('a', { revisionNumber: 1 }));
    expect(staleIds()).toEqual(['a']);
    hold(entry('a', { createdAt: 2 }));
    expect(staleIds()).toEqual(['a']);
  });

  it('are no more than fit, unless somebody waits for them', async () => {
    hold(entry('a'), entry('b'), entry('c'), entry('d'));
    expect(staleIds()).toEqual(['a', 'b']);
    const stop = new AbortController();
    const waiting = cache.subscribe([parseSelector('unix:user:d')], stop.signal).next();
    expect(staleIds()).toEqual(['d', 'a']);
    expect(cache.staleForSubscribers().map(({ id }) => id)).toEqual(['d']);
    stop.abort(new Error('done'));
    await expect(waiting).rejects.toThrow('done');
  });

  it('are not entries that nobody is to prefetch', () => {
    hold(entry('a', { disableX509SvidPrefetch: true }), entry('b', { storeSvid: true }));
    expect(staleIds()).toEqual([]);
  });

  it('are SVIDs whose authority is tainted', () => {
    const a = entry('a');
    hold(a);
    sign(a);
    expect(cache.expire(() => true)).toBe(1);
    expect(staleIds()).toEqual(['a']);
  });
});

describe('an update', () => {
  it('has no SVID that has ended, and none of an entry that has another ID now', () => {
    const a = entry('a');
    hold(a);
    sign(a);
    expect(cache.update(a.selectors).identities).toHaveLength(1);
    now = 9000;
    expect(cache.update(a.selectors).identities).toEqual([]);
    now = 1000;
    hold(entry('a', { spiffeId: createSpiffeId(trustDomain, '/renamed'), revisionNumber: 1 }));
    expect(cache.update(a.selectors).identities).toEqual([]);
  });

  it('has the bundles that its own entries federate with', () => {
    hold(entry('a', { federatesWith: [other] }), entry('b'));
    expect(cache.update([parseSelector('unix:user:a')]).federatedBundles).toHaveLength(1);
    expect(cache.update([parseSelector('unix:user:b')]).federatedBundles).toEqual([]);
  });

  it('ignores an SVID that comes for an entry which is gone', () => {
    hold();
    sign(entry('a'));
    expect(cache.svidCount).toBe(0);
  });
});

describe('a subscription', () => {
  it('waits until each matching entry has its SVID', async () => {
    const selectors = [parseSelector('unix:gid:1')];
    const [a, b] = [entry('a', { selectors }), entry('b', { selectors })];
    hold(a, b);
    const stop = new AbortController();
    const subscription = cache.subscribe(selectors, stop.signal);
    const next = subscription.next();
    sign(a);
    sign(b);
    expect((await next).value.identities.map(({ entry: { id } }) => id)).toEqual(['a', 'b']);
    stop.abort(new Error('done'));
    await expect(subscription.next()).rejects.toThrow('done');
  });

  it('is not told of changes that are not its own', async () => {
    const [a, b] = [entry('a'), entry('b')];
    hold(a, b);
    sign(a, b);
    const stop = new AbortController();
    const subscription = cache.subscribe(a.selectors, stop.signal);
    await subscription.next();
    const next = subscription.next();
    sign(b);
    hold(a);
    const changed = entry('a', { revisionNumber: 1, hint: 'h' });
    await Promise.resolve();
    hold(changed);
    expect((await next).value.identities.map(({ entry: { hint } }) => hint)).toEqual(['h']);
    stop.abort(new Error('done'));
    await expect(subscription.next()).rejects.toThrow('done');
  });

  it('loses what ends, though there is no other yet, and gets the other when it comes', async () => {
    const selectors = [parseSelector('unix:gid:1')];
    const [a, b] = [entry('a', { selectors }), entry('b', { selectors })];
    hold(a, b);
    sign(a);
    cache.store(new Map([['b', svidOf(b, { notAfter: 8000 })]]), []);
    const stop = new AbortController();
    const subscription = cache.subscribe(selectors, stop.signal);
    const idsOf = ({ value }: Awaited<ReturnType<typeof subscription.next>>) =>
      value.identities.map(({ entry: { id } }) => id);
    expect(idsOf(await subscription.next())).toEqual(['a', 'b']);
    now = 8000;
    cache.withdrawEnded();
    expect(idsOf(await subscription.next())).toEqual(['a']);
    now = 9000;
    cache.withdrawEnded();
    expect(idsOf(await subscription.next())).toEqual([]);
    expect([cache.svidCount, staleIds()]).toEqual([0, ['a', 'b']]);
    const next = subscription.next();
    cache.store(new Map([a, b].map((one) => [one.id, svidOf(one, { notAfter: 20_000, renewAt: 19_000 })])), []);
    expect(idsOf(await next)).toEqual(['a', 'b']);
    stop.abort(new Error('done'));
    await expect(subscription.next()).rejects.toThrow('done');
  });

  it('keeps what is due, and what its server would not sign anew, until it ends', async () => {
    const a = entry('a');
    hold(a);
    sign(a);
    const stop = new AbortController();
    const subscription = cache.subscribe(a.selectors, stop.signal);
    await subscription.next();
    const next = subscription.next();
    now = 8999;
    cache.store(new Map(), ['a']);
    cache.withdrawEnded();
    expect(cache.svidCount).toBe(1);
    now = 9000;
    cache.withdrawEnded();
    expect((await next).value.identities).toEqual([]);
    stop.abort(new Error('done'));
    await expect(subscription.next()).rejects.toThrow('done');
  });

  it('ends with an empty update when nothing matches any more', async () => {
    const a = entry('a');
    hold(a);
    sign(a);
    const stop = new AbortController();
    const subscription = cache.subscribe(a.selectors, stop.signal);
    await subscription.next();
    hold();
    expect((await subscription.next()).value.identities).toEqual([]);
    await subscription.return(undefined as never);
  });
});
