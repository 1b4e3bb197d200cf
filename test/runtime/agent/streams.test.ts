// Streams at the cache: what they share, whom a change wakes, and which of them have been written the present update.
import { beforeEach, describe, expect, it } from 'vitest';
import { SvidCache } from '../../../runtime/agent/cache/svid-cache.ts';
import type { WorkloadSvid } from '../../../runtime/agent/cache/workload-svid.ts';
import { composeReport } from '../../../runtime/agent/report/compose-report.ts';
import type { AgentEntry } from '../../../runtime/agent/sync/entry.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSelector } from '../../../runtime/spiffe/selector.ts';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';
import { workloadKey } from '../../support/authorities.ts';

const trustDomain = parseTrustDomain('example.org');
const authority = createFakeAuthority(trustDomain);
const { certChain: chain } = authority.issue({
  publicKey: workloadKey.publicKey,
  spiffeId: createSpiffeId(trustDomain, '/a'),
  ttl: 3_600_000,
});
let bundle: TrustBundle;
let cache: SvidCache;
let entries: ReadonlyMap<string, AgentEntry>;

beforeEach(() => {
  bundle = emptyBundle(trustDomain);
  cache = new SvidCache({ maxSize: 10, bundle, clock: () => 1_000 });
  entries = new Map(['a', 'b'].map((id) => [id, entry(id)]));
  cache.replace(entries, bundle, new Map());
  cache.store(new Map([...entries.values()].map((one) => [one.id, svidOf(one)])), []);
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
    admin: false,
    downstream: false,
    storeSvid: false,
    disableX509SvidPrefetch: false,
    jwtSvidIncludeJti: false,
    ...overrides,
  };
}

function svidOf({ spiffeId, revisionNumber, createdAt }: AgentEntry): WorkloadSvid {
  const times = { notBefore: 0, notAfter: 9_000_000, renewAt: 5_000_000 };
  return { spiffeId, revisionNumber, createdAt, chain, serialNumber: '1', privateKey: new Uint8Array(), ...times };
}

/** A stream whose reader takes what comes when the test says so. */
function open(...selectors: string[]) {
  const stream = cache.subscribe(selectors.map(parseSelector), new AbortController().signal);
  return {
    take: async () => (await stream.next()).value,
    close: () => stream.return(undefined as never),
  };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
const changeBundle = () => {
  bundle = { ...bundle, sequenceNumber: bundle.sequenceNumber + 1 };
  cache.replace(entries, bundle, new Map());
};

describe('streams of the same selectors', () => {
  it('are given the same update, in whatever order the selectors came', async () => {
    const [one, other] = [open('unix:user:a', 'unix:gid:1'), open('unix:gid:1', 'unix:user:a')];
    expect(await one.take()).toBe(await other.take());
  });

  it('are given another update when an SVID, an entry or the bundle changes', async () => {
    const stream = open('unix:user:a');
    const seen = [await stream.take()];
    cache.store(new Map([['a', svidOf(entries.get('a')!)]]), []);
    seen.push(await stream.take());
    entries = new Map([...entries, ['a', entry('a', { hint: 'h' })]]);
    cache.replace(entries, bundle, new Map());
    seen.push(await stream.take());
    changeBundle();
    seen.push(await stream.take());
    expect(new Set(seen).size).toBe(4);
    expect(seen.at(-1)?.bundle).toBe(bundle);
    expect(seen.at(-1)?.identities.map(({ entry: { hint } }) => hint)).toEqual(['h']);
  });

  it('hear of an entry that matches them only from now on', async () => {
    const stream = open('unix:user:a', 'unix:user:late');
    await stream.take();
    const late = entry('late');
    entries = new Map([...entries, ['late', late]]);
    cache.replace(entries, bundle, new Map());
    cache.store(new Map([['late', svidOf(late)]]), []);
    expect((await stream.take()).identities.map(({ entry: { id } }) => id)).toEqual(['a', 'late']);
  });
});

describe('a poll that brings nothing new', () => {
  it('rings nobody', async () => {
    await cache.changed.wait(new AbortController().signal);
    cache.replace(new Map(entries), bundle, new Map());
    let rang = false;
    void cache.changed.wait(new AbortController().signal).then(() => (rang = true));
    await turn();
    expect(rang).toBe(false);
    changeBundle();
    await turn();
    expect(rang).toBe(true);
  });
});

describe('a stream', () => {
  it('lags from a change on until its reader has taken the update and come for the next', async () => {
    const stream = open('unix:user:a');
    expect(cache.streams()).toEqual({ open: 0, lagging: 0 });
    await stream.take();
    expect(cache.streams()).toEqual({ open: 1, lagging: 1 });
    const next = stream.take();
    await turn();
    expect(cache.streams()).toEqual({ open: 1, lagging: 0 });
    changeBundle();
    expect(cache.streams()).toEqual({ open: 1, lagging: 1 });
    await next;
    expect(cache.streams()).toEqual({ open: 1, lagging: 1 });
    void stream.take();
    await turn();
    expect(cache.streams()).toEqual({ open: 1, lagging: 0 });
  });

  it('does not lag for what is not its own, nor before it has been given anything', async () => {
    const [mine, waiting] = [open('unix:user:a'), open('unix:user:none', 'unix:user:new')];
    await mine.take();
    void mine.take();
    entries = new Map([...entries, ['new', entry('new')], ['b', entry('b', { revisionNumber: 1 })]]);
    cache.replace(entries, bundle, new Map());
    void waiting.take();
    await turn();
    expect(cache.streams()).toEqual({ open: 2, lagging: 0 });
  });

  it('that ended is not counted', async () => {
    const stream = open('unix:user:a');
    await stream.take();
    await stream.close();
    expect(cache.streams()).toEqual({ open: 0, lagging: 0 });
  });
});

it('a report names authorities, what hangs on them, and the streams', async () => {
  const [root] = authority.bundle().x509Authorities;
  bundle = {
    ...bundle,
    x509Authorities: [{ asn1: root!.asn1, tainted: true }],
    jwtAuthorities: [{ keyId: 'k', publicKey: new Uint8Array(), expiresAt: 0 }],
  };
  cache.replace(entries, bundle, new Map());
  await open('unix:user:a').take();
  const svid = { chain, notAfter: 8_000_500 };
  const report = composeReport({ cache, svid, version: '1', now: 77 });
  const [above] = report.own!.x509AuthorityIds;
  expect(above).toMatch(/^[0-9a-f]{40}$/);
  expect(report).toEqual({
    instance: '',
    version: '1',
    sentAtMs: 77,
    x509Authorities: [{ authorityId: above, tainted: true }],
    jwtAuthorities: [{ authorityId: 'k', tainted: false }],
    own: { x509AuthorityIds: [above], count: 1, earliestNotAfter: 8_000, latestNotAfter: 8_000 },
    issued: [{ x509AuthorityIds: [above], count: 2, earliestNotAfter: 9_000, latestNotAfter: 9_000 }],
    streams: 1,
    streamsLagging: 1,
  });
});
