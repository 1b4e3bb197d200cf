import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import type { EntryDraft, EntryRecord } from '../../../../runtime/server/store/records.ts';
import type { CreatedEntry } from '../../../../runtime/server/store/store.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createTestStore } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

const agent = 'spiffe://example.org/spire/agent/x509pop/1';
const unix = (value: string) => ({ type: 'unix', value });
const draft = (name: string, more: Partial<EntryDraft> = {}): EntryDraft => ({
  spiffeId: `spiffe://example.org/${name}`,
  parentId: agent,
  selectors: [unix('uid:1000')],
  ...more,
});

let db: TestStore;
beforeAll(async () => {
  db = await createTestStore(() => 1_700_000_000_500);
});
afterAll(() => db.drop());

describe('an entry', () => {
  test('comes back as it was created, selectors sorted and empty values filled in', async () => {
    const { entry, existing } = await db.store.createEntry(
      draft('complete', { id: 'my-id.1', selectors: [unix('uid:2'), unix('gid:1'), unix('uid:2')], x509SvidTtl: 60 }),
    );
    expect(existing).toBe(false);
    expect(entry).toEqual({
      id: 'my-id.1',
      spiffeId: 'spiffe://example.org/complete',
      parentId: agent,
      selectors: [unix('gid:1'), unix('uid:2')],
      x509SvidTtl: 60,
      jwtSvidTtl: 0,
      federatesWith: [],
      admin: false,
      downstream: false,
      storeSvid: false,
      expiresAt: 0,
      createdAt: 1_700_000_000,
      dnsNames: [],
      hint: '',
      revisionNumber: 0,
    });
    expect(await db.store.fetchEntry('my-id.1')).toEqual(entry);
  });

  test('is returned unchanged when a similar one is created, selectors in any order', async () => {
    const selectors = [unix('uid:1'), unix('gid:1')];
    const first = await db.store.createEntry(draft('similar', { selectors, hint: 'first' }));
    const second = await db.store.createEntry(draft('similar', { selectors: selectors.toReversed(), hint: 'second' }));
    expect(second).toEqual({ entry: first.entry, existing: true });
  });

  test('is created once by 16 at once', async () => {
    const created = await Promise.all(Array.from({ length: 16 }, () => db.store.createEntry(draft('race'))));
    expect(created.filter(({ existing }) => !existing)).toHaveLength(1);
    expect(new Set(created.map(({ entry }) => entry.id)).size).toBe(1);
  });

  test('has a revision for each update, and keeps what the patch leaves out', async () => {
    const { entry } = await db.store.createEntry(draft('updated', { hint: 'kept' }));
    const updated = await db.store.updateEntry(entry.id, { dnsNames: ['a.example.org'] });
    expect(updated).toEqual({ ...entry, dnsNames: ['a.example.org'], revisionNumber: 1 });
  });

  test('is gone once deleted, and deleting it again says so', async () => {
    const { entry } = await db.store.createEntry(draft('deleted'));
    expect(await db.store.deleteEntry(entry.id)).toEqual(entry);
    expect(await db.store.deleteEntry(entry.id)).toBeUndefined();
    expect(await db.store.fetchEntry(entry.id)).toBeUndefined();
  });
});

describe('of a batch', () => {
  const told = (outcome: CreatedEntry | StoreError): string =>
    outcome instanceof StoreError ? outcome.code : `${outcome.entry.id}${outcome.existing ? ' existing' : ''}`;

  test('each has its own outcome, in order, and one that is refused leaves the others alone', async () => {
    await db.store.createEntries([draft('there', { id: 'there' })]);
    const outcomes = await db.store.createEntries([
      draft('one', { id: 'one', dnsNames: ['a.test'] }),
      draft('there'),
      draft('none', { selectors: [] }),
      draft('id', { id: 'one' }),
      draft('lonely', { federatesWith: ['unknown.test'] }),
      draft('nul', { hint: '\0' }),
      draft('long', { selectors: [unix(randomBytes(50_000).toString('hex'))] }),
      draft('twice', { id: 'twice' }),
      draft('twice', { id: 'twice' }),
      draft('twice'),
      draft('last', { id: 'last', additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false } }),
    ]);
    expect(outcomes.map(told)).toEqual([
      'one',
      'there existing',
      'INVALID',
      'CONFLICT',
      'UNKNOWN_FEDERATED_BUNDLE',
      'INVALID',
      'INVALID',
      'twice',
      'twice existing',
      'twice existing',
      'last',
    ]);
    expect(await db.store.fetchEntry('one')).toMatchObject({ dnsNames: ['a.test'], selectors: [unix('uid:1000')] });
    expect(await db.store.fetchEntry('last')).toMatchObject({
      additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false },
    });
  });

  test('two servers that get the same in opposite order create each once', async () => {
    const other = await db.openAnother();
    const drafts = Array.from({ length: 600 }, (_, index) => draft(`both/${index}`));
    const [ours, theirs] = await Promise.all([
      db.store.createEntries(drafts),
      other.createEntries(drafts.toReversed()),
    ]);
    const created = [...ours, ...theirs].filter((one) => !(one instanceof StoreError) && !one.existing);
    expect(created).toHaveLength(600);
    expect([...ours, ...theirs].filter((one) => one instanceof StoreError)).toEqual([]);
  });
});

describe('of a batch of updates', () => {
  const told = (outcome: EntryRecord | StoreError): string =>
    outcome instanceof StoreError ? outcome.code : `${outcome.hint} ${outcome.revisionNumber}`;

  test('each has its own outcome, in order, and one that is refused leaves the others alone', async () => {
    for (const id of ['u1', 'u2', 'u3', 'u4']) await db.store.createEntry(draft(id, { id }));
    const outcomes = await db.store.updateEntries([
      { id: 'u1', patch: { hint: 'first' } },
      { id: 'nowhere', patch: { hint: 'x' } },
      { id: 'u2', patch: { selectors: [] } },
      { id: 'u3', patch: { hint: '\0' } },
      { id: 'u2', patch: { federatesWith: ['unknown.test'] } },
      { id: 'u3', patch: { spiffeId: 'spiffe://example.org/u4' } },
      { id: 'u1', patch: { x509SvidTtl: 7 } },
      { id: 'u4', patch: { hint: 'last', selectors: [unix('uid:2'), unix('gid:1')] } },
    ]);
    expect(outcomes.map(told)).toEqual([
      'first 1',
      'NOT_FOUND',
      'INVALID',
      'INVALID',
      'UNKNOWN_FEDERATED_BUNDLE',
      'CONFLICT',
      'first 2',
      'last 1',
    ]);
    expect(await db.store.fetchEntry('u1')).toEqual(outcomes[6]);
    expect(await db.store.fetchEntry('u4')).toEqual(outcomes[7]);
    expect(await db.store.fetchEntry('u2')).toMatchObject({ revisionNumber: 0, selectors: [unix('uid:1000')] });
  });

  test('one may take the place that another of the same batch leaves, and not before it leaves it', async () => {
    for (const id of ['place-a', 'place-b']) await db.store.createEntry(draft(id, { id }));
    const to = (id: string, name: string) => ({ id, patch: { spiffeId: `spiffe://example.org/${name}`, hint: id } });
    const blocked = await db.store.updateEntries([to('place-a', 'place-b'), to('place-b', 'place-c')]);
    expect(blocked.map(told)).toEqual(['CONFLICT', 'place-b 1']);
    const free = await db.store.updateEntries([to('place-b', 'place-d'), to('place-a', 'place-c')]);
    expect(free.map(told)).toEqual(['place-b 2', 'place-a 1']);
  });

  test('two servers that change the same in opposite order both come through', async () => {
    const other = await db.openAnother();
    const ids = Array.from({ length: 300 }, (_, index) => `both-${index}`);
    await db.store.createEntries(ids.map((id) => draft(id, { id })));
    const updates = ids.map((id) => ({ id, patch: { hint: 'changed' } }));
    const outcomes = await Promise.all([
      db.store.updateEntries(updates),
      other.updateEntries(updates.toReversed()),
      db.store.deleteEntries(ids.slice(0, 100).toReversed()),
    ]);
    expect(
      outcomes[0].concat(outcomes[1]).filter((one) => one instanceof StoreError && one.code !== 'NOT_FOUND'),
    ).toEqual([]);
    expect((await db.store.fetchEntries(ids)).map(({ revisionNumber }) => revisionNumber)).toEqual(Array(200).fill(2));
  });
});

test('a batch of deletions returns what was there, once', async () => {
  await db.store.createEntries([draft('gone-a', { id: 'gone-a' }), draft('gone-b', { id: 'gone-b' })]);
  const deleted = await db.store.deleteEntries(['gone-b', 'never', 'gone-a', 'gone-b']);
  expect(deleted.map(({ id }) => id).toSorted()).toEqual(['gone-a', 'gone-b']);
  expect(await db.store.deleteEntries(['gone-a', 'gone-b'])).toEqual([]);
});

describe('refused are', () => {
  test.each<[string, EntryDraft, string]>([
    [
      'an entry without selectors',
      draft('x', { selectors: [] }),
      'datastore-validation: invalid registration entry: missing selector list',
    ],
    [
      'an id too long',
      draft('x', { id: 'a'.repeat(256) }),
      'datastore-validation: invalid registration entry: entry ID too long',
    ],
    [
      'an id with other characters',
      draft('x', { id: 'a/b' }),
      'datastore-validation: invalid registration entry: entry ID contains invalid characters',
    ],
    [
      'a negative TTL',
      draft('x', { x509SvidTtl: -1 }),
      'datastore-validation: invalid registration entry: X509SvidTtl is not set',
    ],
    [
      'a hint too long',
      draft('x', { hint: 'h'.repeat(1025) }),
      'datastore-validation: invalid registration entry: hint is too long',
    ],
    [
      'selectors of two types for an SVID that is stored',
      draft('x', { storeSvid: true, selectors: [unix('uid:1'), { type: 'k8s', value: 'ns:a' }] }),
      'datastore-validation: invalid registration entry: selector types must be the same when store SVID is enabled',
    ],
    [
      'no prefetch for an SVID that is stored',
      draft('x', {
        storeSvid: true,
        additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false },
      }),
      'datastore-validation: specifying cache behaviour is incompatible with storable SVIDs',
    ],
    ['text with a NUL', draft('x', { selectors: [unix('uid:\0')] }), 'text holds bytes that cannot be stored'],
  ])('%s', async (_, refused, message) => {
    await expect(db.store.createEntry(refused)).rejects.toMatchObject({ code: 'INVALID', message });
  });

  test('an id that another entry has', async () => {
    await db.store.createEntry(draft('taken', { id: 'taken' }));
    await expect(db.store.createEntry(draft('other', { id: 'taken' }))).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  test('an update that makes two entries similar', async () => {
    await db.store.createEntry(draft('twin-a'));
    const { entry } = await db.store.createEntry(draft('twin-b'));
    const update = db.store.updateEntry(entry.id, { spiffeId: 'spiffe://example.org/twin-a' });
    await expect(update).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  test('an update of an entry that is not there', async () => {
    await expect(db.store.updateEntry('nowhere', {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('federation with a trust domain whose bundle is not kept', async () => {
    const creation = db.store.createEntry(draft('federated', { federatesWith: ['unknown.test'] }));
    await expect(creation).rejects.toMatchObject({
      code: 'UNKNOWN_FEDERATED_BUNDLE',
      message: 'unable to find federated bundle "unknown.test"',
    });
  });

  test('a page token that is none', async () => {
    const listing = db.store.listEntries({}, { size: 1, token: "1'; --" });
    await expect(listing).rejects.toMatchObject({ code: 'INVALID' });
  });
});

describe('listing', () => {
  const parentId = 'spiffe://example.org/listing';
  const [a, b, c] = ['a', 'b', 'c'].map(unix) as [
    ReturnType<typeof unix>,
    ReturnType<typeof unix>,
    ReturnType<typeof unix>,
  ];
  const names = async (selectors: (typeof a)[], match: 'exact' | 'subset' | 'superset' | 'any') =>
    (await db.store.listEntries({ byParentId: parentId, bySelectors: { match, selectors } })).entries.map(
      ({ hint }) => hint,
    );

  beforeAll(async () => {
    for (const [hint, selectors] of Object.entries({ a: [a], ab: [a, b], abc: [a, b, c], c: [c] })) {
      await db.store.createEntry(draft('listed', { parentId, selectors, hint }));
    }
  });

  test('matches exact, subset, superset and any selectors', async () => {
    expect(await names([b, a], 'exact')).toEqual(['ab']);
    expect(await names([a, b], 'subset')).toEqual(['a', 'ab']);
    expect(await names([a, b], 'superset')).toEqual(['ab', 'abc']);
    expect(await names([b, c], 'any')).toEqual(['ab', 'abc', 'c']);
  });

  test('goes page by page until the token is empty', async () => {
    const seen: string[][] = [];
    let token = '';
    do {
      const page = await db.store.listEntries({ byParentId: parentId }, { size: 3, token });
      seen.push(page.entries.map(({ hint }) => hint));
      token = page.nextPageToken;
    } while (token !== '');
    expect(seen).toEqual([['a', 'ab', 'abc'], ['c']]);
    expect(await db.store.countEntries({ byParentId: parentId })).toBe(4);
  });

  test('filters by SPIFFE ID, hint and downstream', async () => {
    await db.store.createEntry(draft('downstream', { downstream: true, parentId, hint: 'd' }));
    const hints = async (filter: Parameters<typeof db.store.listEntries>[0]) =>
      (await db.store.listEntries({ ...filter, byParentId: parentId })).entries.map(({ hint }) => hint);
    expect(await hints({ byDownstream: true })).toEqual(['d']);
    expect(await hints({ byHint: 'c' })).toEqual(['c']);
    expect(await hints({ bySpiffeId: 'spiffe://example.org/downstream' })).toEqual(['d']);
  });
});

test('pages that are read while others write hold every entry once that was there from the first page on', async () => {
  const parentId = 'spiffe://example.org/busy';
  const there = Array.from({ length: 120 }, (_, index) => draft(`busy/${index}`, { id: `busy-${index}`, parentId }));
  await db.store.createEntries(there);
  const other = await db.openAnother();
  const seen: string[] = [];
  let token = '';
  for (let page = 0; page === 0 || token !== ''; page += 1) {
    const found = await db.store.listEntries({ byParentId: parentId }, { size: 7, token });
    seen.push(...found.entries.map(({ id }) => id));
    token = found.nextPageToken;
    const [taken, changed] = [`busy-${page}`, `busy-${119 - page}`];
    await Promise.all([
      other.deleteEntries([taken]), // on a page that was read
      other.updateEntries([{ id: changed, patch: { hint: 'changed' } }]), // on one that was not
      page < 5 ? other.createEntries([draft(`busy/new/${page}`, { parentId, id: `new-${page}` })]) : undefined,
    ]);
  }
  const isOld = (id: string) => id.startsWith('busy-');
  expect(seen.filter(isOld)).toEqual(there.map(({ id }) => id));
  expect(new Set(seen).size).toBe(seen.length);
});

describe('a batch is written by one statement', () => {
  const drafts = (name: string, count: number) =>
    Array.from({ length: count }, (_, index) => draft(`${name}/${index}`, { id: `${name}-${index}` }));
  /** PostgreSQL notes for each row which transaction wrote it, and which command of it. */
  const statementsOf = async (ids: readonly string[]): Promise<number> => {
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    const text = 'SELECT DISTINCT xmin, cmin FROM entries WHERE id = ANY($1)';
    return client
      .query(text, [ids])
      .then(({ rows }) => rows.length)
      .finally(() => client.end());
  };

  test.each([
    [50, 1],
    [500, 1],
    [501, 2],
  ])('of %i entries that are created, and changed, in %i', async (count, statements) => {
    const batch = drafts(`batch-${count}`, count);
    const ids = batch.map(({ id = '' }) => id);
    await db.store.createEntries(batch);
    expect(await statementsOf(ids)).toBe(statements);
    await db.store.updateEntries(ids.map((id) => ({ id, patch: { hint: 'changed' } })));
    expect(await statementsOf(ids)).toBe(statements);
    await db.store.deleteEntries(ids);
  });
});

test('pruning takes expired entries only', async () => {
  const { entry } = await db.store.createEntry(draft('expired', { expiresAt: 1_000 }));
  await db.store.createEntry(draft('later', { expiresAt: 2_000 }));
  expect(await db.store.pruneEntries(2_000)).toEqual([entry.id]);
});

describe('deleting a bundle that entries federate with', () => {
  const trustDomain = parseTrustDomain('partner.test');
  const federated = async (name: string) => {
    await db.store.setBundle({ ...emptyBundle(trustDomain), sequenceNumber: 7 });
    return (await db.store.createEntry(draft(name, { federatesWith: ['partner.test'] }))).entry;
  };

  test('is refused in mode restrict', async () => {
    await federated('restrict');
    await expect(db.store.deleteBundle('partner.test', 'restrict')).rejects.toMatchObject({ code: 'BUNDLE_IN_USE' });
  });

  test('takes the trust domain out of them in mode dissociate', async () => {
    const { id } = await federated('dissociate');
    expect(await db.store.deleteBundle('partner.test', 'dissociate')).toBe(true);
    expect(await db.store.fetchEntry(id)).toMatchObject({ federatesWith: [], revisionNumber: 1 });
  });

  test('deletes them in mode delete', async () => {
    const { id } = await federated('delete');
    expect(await db.store.deleteBundle('partner.test', 'delete')).toBe(true);
    expect(await db.store.fetchEntry(id)).toBeUndefined();
  });
});
