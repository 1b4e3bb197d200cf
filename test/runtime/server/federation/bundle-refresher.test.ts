import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../../../runtime/log.ts';
import { startBundleRefresher } from '../../../../runtime/server/federation/bundle-refresher.ts';
import type { BundleRefresherOptions } from '../../../../runtime/server/federation/bundle-refresher.ts';
import { FederationError } from '../../../../runtime/server/federation/errors.ts';
import type { FetchBundle } from '../../../../runtime/server/federation/fetch-bundle.ts';
import { relationshipOfRecord } from '../../../../runtime/server/federation/relationship.ts';
import type { FederationRelationshipRecord } from '../../../../runtime/server/store/records.ts';
import type { Store } from '../../../../runtime/server/store/store.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createTestCa } from '../../rpc/test-ca.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { createManualTimers } from './manual-timers.ts';

const own = parseTrustDomain('example.org');
const names = ['a.test', 'b.test', 'c.test'];
const authorities = new Map(names.map((name) => [name, { asn1: createTestCa(name).root.der }]));
const bundleOf = (name: string, sequenceNumber: number, more: Partial<TrustBundle> = {}): TrustBundle => ({
  ...emptyBundle(parseTrustDomain(name)),
  x509Authorities: [authorities.get(name)!],
  refreshHintSeconds: 300,
  sequenceNumber,
  ...more,
});
const web = (trustDomain: string, path = ''): FederationRelationshipRecord => ({
  trustDomain,
  bundleEndpointUrl: `https://${trustDomain}/${path}`,
  bundleEndpointProfile: 'https_web',
  endpointSpiffeId: '',
});
const spiffe = (trustDomain: string, endpointSpiffeId: string): FederationRelationshipRecord => ({
  ...web(trustDomain),
  bundleEndpointProfile: 'https_spiffe',
  endpointSpiffeId,
});
const hintMs = 75_000;
const reloadMs = 10_000;

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore();
});
afterAll(() => db.drop());
beforeEach(async () => {
  for (const { trustDomain } of await db.store.allFederationRelationships())
    await db.store.deleteFederationRelationship(trustDomain);
  for (const name of names) await db.store.deleteBundle(name, 'restrict');
});

/** Endpoints by their URL: what each answers with now; one without an answer hangs until the fetch is given up. */
function createEndpoints() {
  const answers = new Map<string, TrustBundle | FederationError>();
  const asked: { url: string; roots: readonly Uint8Array[] }[] = [];
  const fetchBundle: FetchBundle = async ({ url }, { roots, signal }) => {
    asked.push({ url: url.text, roots });
    const answer = answers.get(url.text);
    if (answer instanceof FederationError) throw answer;
    if (answer !== undefined) return answer;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new FederationError('ENDED', 'the relationship has ended')));
    });
  };
  return { answers, asked, urls: () => asked.map(({ url }) => url), fetchBundle };
}

function start({
  configured = [],
  store = db.store,
}: { configured?: FederationRelationshipRecord[]; store?: Store } = {}) {
  const endpoints = createEndpoints();
  const timers = createManualTimers();
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line) });
  const options: BundleRefresherOptions = {
    trustDomain: own,
    store,
    configured: configured.map(relationshipOfRecord),
    fetchBundle: endpoints.fetchBundle,
    timers,
    log,
  };
  const begin = () => {
    const refresher = startBundleRefresher(options);
    onTestFinished(() => refresher.close());
    return refresher;
  };
  return { ...endpoints, timers, logged: () => lines.join(''), begin };
}

const kept = (name: string) => db.store.fetchBundle(name);
const sequenceOf = async (name: string) => (await kept(name))?.sequenceNumber;
const deaf = (): Store => ({ ...db.store, watch: () => () => undefined });

describe('a bundle is fetched', () => {
  test('at the start, and when it is due', async () => {
    const { answers, urls, timers, begin } = start({ configured: [web('a.test')] });
    answers.set('https://a.test/', bundleOf('a.test', 1));
    begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs, hintMs]);
    expect(await kept('a.test')).toEqual(bundleOf('a.test', 1));
    answers.set('https://a.test/', bundleOf('a.test', 2));
    timers.advance(hintMs - 1);
    await expect.poll(() => timers.waits()).toEqual([1, reloadMs]);
    expect(urls()).toHaveLength(1);
    timers.advance(1);
    await expect.poll(() => sequenceOf('a.test')).toBe(2);
    expect(urls()).toEqual(['https://a.test/', 'https://a.test/']);
  });

  test('at once when the relationship is created, and from its new endpoint when it changes', async () => {
    const { answers, urls, begin, logged } = start();
    answers.set('https://a.test/moved', bundleOf('a.test', 1));
    begin();
    await db.store.createFederationRelationship(web('a.test'));
    await expect.poll(urls).toEqual(['https://a.test/']);
    await db.store.updateFederationRelationship('a.test', { bundleEndpointUrl: 'https://a.test/moved' });
    await expect.poll(() => sequenceOf('a.test')).toBe(1);
    expect(urls()).toEqual(['https://a.test/', 'https://a.test/moved']);
    expect(logged()).not.toContain('Error updating bundle');
  });

  test('though the notification was lost', async () => {
    const { urls, timers, begin } = start({ store: deaf() });
    begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs]);
    await db.store.createFederationRelationship(web('a.test'));
    timers.advance(reloadMs);
    await expect.poll(urls).toEqual(['https://a.test/']);
  });

  test('as the configuration says, where the store says otherwise', async () => {
    await db.store.createFederationRelationship(web('a.test', 'stored'));
    const { urls, timers, begin } = start({ configured: [web('a.test', 'configured')] });
    begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs]);
    expect(urls()).toEqual(['https://a.test/configured']);
  });

  test('and replaces what is kept, whole', async () => {
    const { answers, begin } = start({ configured: [web('a.test')] });
    await db.store.setBundle(bundleOf('a.test', 1, { x509Authorities: [authorities.get('b.test')!] }));
    answers.set('https://a.test/', bundleOf('a.test', 2));
    begin();
    await expect.poll(() => kept('a.test')).toEqual(bundleOf('a.test', 2));
  });

  test('by several servers at once, and the newest stays', async () => {
    const others = await Promise.all([1, 2, 3].map(() => db.openAnother()));
    others.forEach((store, i) => {
      const { answers, begin } = start({ configured: [web('a.test')], store });
      answers.set('https://a.test/', bundleOf('a.test', 9 - i));
      begin();
    });
    await expect.poll(() => sequenceOf('a.test')).toBe(9);
  });
});

describe('an https_spiffe endpoint', () => {
  test('is judged by the bundle of its own trust domain, as it is kept now', async () => {
    await db.store.setBundle(bundleOf('b.test', 1));
    const { answers, asked, begin } = start({ configured: [spiffe('a.test', 'spiffe://b.test/endpoint')] });
    answers.set('https://a.test/', bundleOf('a.test', 1));
    begin();
    await expect.poll(() => sequenceOf('a.test')).toBe(1);
    expect(asked).toEqual([{ url: 'https://a.test/', roots: [authorities.get('b.test')!.asn1] }]);
  });

  test('is not asked without one, and at once when it comes', async () => {
    const { answers, urls, timers, logged, begin } = start({
      configured: [spiffe('a.test', 'spiffe://b.test/endpoint')],
    });
    answers.set('https://a.test/', bundleOf('a.test', 1));
    begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs, 60_000]);
    expect(logged()).toContain("can't perform SPIFFE Authentication: local copy of bundle not found");
    await db.store.setBundle(bundleOf('c.test', 1));
    await db.store.setBundle(bundleOf('b.test', 1));
    await expect.poll(() => sequenceOf('a.test')).toBe(1);
    expect(urls()).toHaveLength(1);
  });
});

describe('a failure', () => {
  test('is told and tried again: soon where nothing is kept, else as what is kept wishes', async () => {
    const { answers, timers, logged, begin } = start({ configured: [web('a.test')] });
    answers.set('https://a.test/', new FederationError('STATUS', 'unexpected status 503 fetching bundle'));
    begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs, 60_000]);
    expect(logged()).toMatch(/level=error msg="Error updating bundle" .*unexpected status 503/);
    await db.store.setBundle(bundleOf('a.test', 1, { refreshHintSeconds: 120 }));
    timers.advance(60_000);
    await expect.poll(() => timers.waits()).toEqual([reloadMs, 30_000]);
  });

  test('is a bundle that is older than the one that is kept, until an operator asks for it', async () => {
    await db.store.setBundle(bundleOf('a.test', 7));
    const { answers, timers, logged, begin } = start({ configured: [web('a.test')] });
    answers.set('https://a.test/', bundleOf('a.test', 6));
    const refresher = begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs, hintMs]);
    expect(await kept('a.test')).toEqual(bundleOf('a.test', 7));
    expect(logged()).toContain('endpoint serves sequence number 6, older than 7, which is kept');
    expect(await refresher.refresh(parseTrustDomain('a.test'))).toBe(true);
    expect(await kept('a.test')).toEqual(bundleOf('a.test', 6));
  });

  test('is told to the operator who asked', async () => {
    const { answers, begin } = start({ configured: [web('a.test')] });
    answers.set('https://a.test/', new FederationError('STATUS', 'unexpected status 503 fetching bundle'));
    await expect(begin().refresh(parseTrustDomain('a.test'))).rejects.toMatchObject({ code: 'STATUS' });
  });
});

describe('nothing is fetched', () => {
  test('any more when the relationship is deleted, not even what is on its way', async () => {
    await db.store.createFederationRelationship(web('a.test'));
    await db.store.createFederationRelationship(web('b.test'));
    const { answers, urls, timers, begin } = start();
    answers.set('https://b.test/', bundleOf('b.test', 1));
    const refresher = begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs, hintMs]); // a.test hangs
    await db.store.deleteFederationRelationship('a.test');
    await db.store.deleteFederationRelationship('b.test');
    await expect.poll(() => timers.waits()).toEqual([reloadMs]);
    timers.advance(hintMs);
    await expect.poll(() => timers.waits()).toEqual([reloadMs]);
    expect(urls().sort()).toEqual(['https://a.test/', 'https://b.test/']);
    expect(await kept('a.test')).toBeUndefined();
    for (const name of ['a.test', 'b.test']) expect(await refresher.refresh(parseTrustDomain(name))).toBe(false);
  });

  test('and stored, when the relationship ends between the two', async () => {
    const answers: ((bundle: TrustBundle) => void)[] = [];
    const refresher = startBundleRefresher({
      trustDomain: own,
      store: db.store,
      configured: [relationshipOfRecord(web('a.test'))],
      fetchBundle: () => new Promise((resolve) => answers.push(resolve)),
      timers: createManualTimers(),
      log: silentLog,
    });
    await expect.poll(() => answers.length).toBe(1);
    const closed = refresher.close();
    for (const answer of answers) answer(bundleOf('a.test', 1));
    await closed;
    expect(await kept('a.test')).toBeUndefined();
  });

  test('for our own trust domain, or a relationship that does not hold', async () => {
    await db.store.createFederationRelationship({ ...web('example.org'), bundleEndpointUrl: 'https://a.test/' });
    await db.store.createFederationRelationship({ ...web('b.test'), bundleEndpointUrl: 'http://b.test/' });
    await db.store.createFederationRelationship(spiffe('c.test', ''));
    const { urls, timers, logged, begin } = start();
    begin();
    await expect.poll(() => timers.waits()).toEqual([reloadMs]);
    expect(urls()).toEqual([]);
    const ignored = logged().matchAll(/Ignoring federation relationship that does not hold.* trust_domain=(\S+)/g);
    expect(new Set([...ignored].map(([, name]) => name))).toEqual(new Set(['b.test', 'c.test']));
  });

  test('after the end', async () => {
    const { urls, timers, begin } = start({ configured: [web('a.test')] });
    const refresher = begin();
    await expect.poll(urls).toHaveLength(1);
    await refresher.close();
    await db.store.createFederationRelationship(web('b.test'));
    timers.advance(24 * 3_600_000);
    expect([urls().length, timers.waits()]).toEqual([1, []]);
  });
});
