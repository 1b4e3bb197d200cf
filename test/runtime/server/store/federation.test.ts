import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FederationRelationshipRecord, StoreChange } from '../../../../runtime/server/store/records.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createTestCa } from '../../rpc/test-ca.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

const relationship = (trustDomain: string): FederationRelationshipRecord => ({
  trustDomain,
  bundleEndpointUrl: `https://${trustDomain}/bundle`,
  bundleEndpointProfile: 'https_spiffe',
  endpointSpiffeId: `spiffe://${trustDomain}/endpoint`,
});
const [a, b] = [relationship('a.test'), relationship('b.test')];
const bundleOf = (name: string, sequenceNumber: number): TrustBundle => ({
  ...emptyBundle(parseTrustDomain(name)),
  x509Authorities: [{ asn1: createTestCa(name).root.der }],
  sequenceNumber,
});

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore();
});
afterAll(() => db.drop());
beforeEach(async () => {
  for (const name of ['a.test', 'b.test']) {
    await db.store.deleteFederationRelationship(name);
    await db.store.deleteBundle(name, 'restrict');
  }
});

describe('a relationship', () => {
  test('comes back as it was created, with the bundle that came with it', async () => {
    const bundle = bundleOf('a.test', 4);
    expect(await db.store.createFederationRelationship(a, bundle)).toEqual({ ...a, bundle });
    expect(await db.store.createFederationRelationship(b)).toEqual(b);
    expect(await db.store.fetchFederationRelationship('a.test')).toEqual({ ...a, bundle });
    expect(await db.store.fetchFederationRelationship('b.test')).toEqual(b);
    expect(await db.store.fetchFederationRelationship('c.test')).toBeUndefined();
    expect(await db.store.allFederationRelationships()).toEqual([a, b]);
  });

  test('is created once, and what is refused changes no bundle', async () => {
    const bundle = bundleOf('a.test', 4);
    await db.store.createFederationRelationship(a, bundle);
    await expect(db.store.createFederationRelationship(a, bundleOf('a.test', 9))).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await expect(db.store.updateFederationRelationship('b.test', {}, bundleOf('b.test', 9))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'no federation relationship with "b.test"',
    });
    expect(await db.store.fetchBundle('a.test')).toEqual(bundle);
    expect(await db.store.fetchBundle('b.test')).toBeUndefined();
  });

  test('is updated in what is given', async () => {
    await db.store.createFederationRelationship(a, bundleOf('a.test', 4));
    const bundle = bundleOf('a.test', 2);
    const bundleEndpointUrl = 'https://elsewhere.test';
    expect(await db.store.updateFederationRelationship('a.test', { bundleEndpointUrl }, bundle)).toEqual({
      ...a,
      bundleEndpointUrl,
      bundle,
    });
    const web = { bundleEndpointProfile: 'https_web', endpointSpiffeId: '' } as const;
    expect(await db.store.updateFederationRelationship('a.test', web)).toEqual({
      ...a,
      ...web,
      bundleEndpointUrl,
      bundle,
    });
  });

  test('is deleted without its bundle', async () => {
    const bundle = bundleOf('a.test', 4);
    await db.store.createFederationRelationship(a, bundle);
    expect(await db.store.deleteFederationRelationship('a.test')).toBe(true);
    expect(await db.store.deleteFederationRelationship('a.test')).toBe(false);
    expect(await db.store.fetchBundle('a.test')).toEqual(bundle);
  });

  test('is listed page by page', async () => {
    for (const one of [a, b]) await db.store.createFederationRelationship(one);
    const first = await db.store.listFederationRelationships({ size: 1, token: '' });
    const second = await db.store.listFederationRelationships({ size: 1, token: first.nextPageToken });
    expect(first.relationships).toEqual([a]);
    expect(second).toEqual({ relationships: [b], nextPageToken: '' });
    expect(await db.store.listFederationRelationships()).toEqual({ relationships: [a, b], nextPageToken: '' });
    await expect(db.store.listFederationRelationships({ size: 1, token: 'x' })).rejects.toMatchObject({
      code: 'INVALID',
    });
  });

  test('tells every server on the database what becomes of it', async () => {
    const changes: StoreChange[] = [];
    const another = await db.openAnother();
    const unwatch = another.watch((change) => changes.push(change));
    // A server that has just come may still be told of what the tests before did.
    const trustDomain = 'told.test';
    await db.store.createFederationRelationship({ ...a, trustDomain });
    await db.store.updateFederationRelationship(trustDomain, { bundleEndpointUrl: 'https://elsewhere.test' });
    await db.store.deleteFederationRelationship(trustDomain);
    const isOwn = (change: StoreChange) => change.kind === 'federation_relationship' && change.id === trustDomain;
    const told = () => changes.filter(isOwn);
    await expect.poll(told).toHaveLength(3);
    unwatch();
  });
});

describe('a bundle that was fetched', () => {
  const saved = async (...sequences: number[]) => {
    const outcomes: boolean[] = [];
    for (const sequence of sequences) outcomes.push(await db.store.saveFetchedBundle(bundleOf('a.test', sequence)));
    return [outcomes, (await db.store.fetchBundle('a.test'))?.sequenceNumber];
  };

  test('is kept whole', async () => {
    const bundle = bundleOf('a.test', 3);
    await db.store.setBundle(bundleOf('a.test', 2));
    expect(await db.store.saveFetchedBundle(bundle)).toBe(true);
    expect(await db.store.fetchBundle('a.test')).toEqual(bundle);
  });

  test.each([
    ['the first', [3], [true], 3],
    ['a newer one', [3, 4], [true, true], 4],
    ['one with the same number', [3, 3], [true, true], 3],
    ['one without a number, and after it any', [3, 0, 2], [true, true, true], 2],
  ])('is kept: %s', async (_, sequences, outcomes, last) => {
    expect(await saved(...sequences)).toEqual([outcomes, last]);
  });

  test('is not kept where a newer one is, whoever writes at once', async () => {
    expect(await saved(5, 4)).toEqual([[true, false], 5]);
    const all = Array.from({ length: 16 }, (_, i) => bundleOf('a.test', 10 + i));
    await Promise.all(all.reverse().map((bundle) => db.store.saveFetchedBundle(bundle)));
    expect((await db.store.fetchBundle('a.test'))?.sequenceNumber).toBe(25);
  });
});
