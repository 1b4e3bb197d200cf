import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry, EntryMask, Entry_AdditionalAttributes } from '../../../../proto/gen/spire/api/types/entry.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { runServer } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';

let server: RunningTestServer;
beforeAll(async () => {
  server = await runServer();
  await server.local.bundle.batchSetFederatedBundle({
    bundle: [
      {
        trustDomain: 'other.org',
        x509Authorities: [],
        jwtAuthorities: [],
        refreshHint: 0,
        sequenceNumber: 1,
        witAuthorities: [],
      },
    ],
    outputMask: undefined,
  });
});
afterAll(() => server.close());

const id = (path: string, trustDomain = 'example.org') => ({ trustDomain, path });
let count = 0;
/** A good entry, different each time, with the given fields. */
function entryWith(fields: Partial<Entry> = {}): Entry {
  count += 1;
  return {
    ...Entry.create({
      spiffeId: id(`/w${count}`),
      parentId: id('/node'),
      selectors: [{ type: 'unix', value: `uid:${count}` }],
    }),
    ...fields,
  };
}
const create = async (...entries: Entry[]) =>
  (await server.local.entry.batchCreateEntry({ entries, outputMask: undefined })).results;
const createOne = async (fields: Partial<Entry> = {}) => (await create(entryWith(fields)))[0]!;

describe('an entry', () => {
  test('is kept as it was sent', async () => {
    const sent = entryWith({
      x509SvidTtl: 60,
      jwtSvidTtl: 30,
      federatesWith: ['other.org'],
      admin: true,
      downstream: true,
      storeSvid: true,
      expiresAt: 4_000_000_000,
      dnsNames: ['b.example.org', 'a.example.org', '*.example.net'],
      hint: 'h',
      additionalAttributes: { disableX509SvidPrefetch: false, jwtSvidIncludeJti: true },
    });
    const [result] = await create(sent);
    expect(result?.status).toEqual({ code: 0, message: 'OK' });
    const { id: entryId, createdAt } = result!.entry!;
    expect(result?.entry).toEqual({ ...sent, id: entryId, createdAt });
    expect(await server.local.entry.getEntry({ id: entryId, outputMask: undefined })).toEqual(result?.entry);
  });

  test('may have an id of its maker’s choice', async () => {
    expect((await createOne({ id: 'my.entry_1-a' })).entry?.id).toBe('my.entry_1-a');
  });

  test('with additional attributes above 65,535 bytes keeps the two flags that are known, and nothing of the rest', async () => {
    // Field 100, of which nobody knows: SPIRE's server drops it where it takes the attributes over.
    const unknown = Buffer.concat([Buffer.from([0xa2, 0x06, 0xf0, 0xa2, 0x04]), Buffer.alloc(70_000, 0x61)]);
    const known = { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false };
    const attributes = Entry_AdditionalAttributes.decode(
      Buffer.concat([unknown, Entry_AdditionalAttributes.encode(known).finish()]),
    );
    expect(Entry_AdditionalAttributes.encode(attributes).finish()).toHaveLength(2);
    expect((await createOne({ additionalAttributes: attributes })).entry?.additionalAttributes).toEqual(known);
  });

  test('that is there already is returned, with a status that says so', async () => {
    const entry = entryWith();
    const [first] = await create(entry);
    const [second] = await create({ ...entry, hint: 'other' });
    expect(second?.status).toEqual({ code: statusCode.ALREADY_EXISTS, message: 'similar entry already exists' });
    expect(second?.entry).toEqual(first?.entry);
  });

  test('that is refused leaves the others of its batch alone', async () => {
    const results = await create(entryWith(), entryWith({ selectors: [] }), entryWith());
    expect(results.map(({ status }) => status?.code)).toEqual([0, statusCode.INVALID_ARGUMENT, 0]);
  });

  test.each([
    [{ parentId: undefined }, 'invalid parent ID: request must specify SPIFFE ID'],
    [
      { parentId: id('/x', 'other.org') },
      'invalid parent ID: "spiffe://other.org/x" is not a member of trust domain "example.org"',
    ],
    [
      { parentId: id('') },
      'invalid parent ID: "spiffe://example.org" is not a member of trust domain "example.org"; path is empty',
    ],
    [{ parentId: id('/a//b') }, 'invalid parent ID: path cannot contain empty segments'],
    [{ spiffeId: undefined }, 'invalid spiffe ID: request must specify SPIFFE ID'],
    [
      { spiffeId: id('/x', 'other.org') },
      'invalid spiffe ID: "spiffe://other.org/x" is not a member of trust domain "example.org"',
    ],
    [
      { spiffeId: id('') },
      'invalid spiffe ID: "spiffe://example.org" is not a workload in trust domain "example.org"; path is empty',
    ],
    [
      { spiffeId: id('/spire') },
      'invalid spiffe ID: "spiffe://example.org/spire" is not a workload in trust domain "example.org"; path is in the reserved namespace',
    ],
    [
      { spiffeId: id('/spire/server') },
      'invalid spiffe ID: "spiffe://example.org/spire/server" is not a workload in trust domain "example.org"; path is in the reserved namespace',
    ],
    [{ spiffeId: id('/a/../b') }, 'invalid spiffe ID: path cannot contain dot segments'],
    [
      { spiffeId: id('/a/%2e%2e/b') },
      'invalid spiffe ID: path segment characters are limited to letters, numbers, dots, dashes, and underscores',
    ],
    [{ spiffeId: id('/a/') }, 'invalid spiffe ID: path cannot have a trailing slash'],
    [{ spiffeId: id('a') }, 'invalid spiffe ID: path must have a leading slash'],
    [
      { spiffeId: id('/a', 'Example.org') },
      'invalid spiffe ID: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
    ],
    [{ spiffeId: id('/a', '') }, 'invalid spiffe ID: trust domain is missing'],
    [{ selectors: [] }, 'selector list is empty'],
    [{ selectors: [{ type: '', value: 'v' }] }, 'missing selector type'],
    [{ selectors: [{ type: 'a:b', value: 'v' }] }, "selector type contains ':'"],
    [{ selectors: [{ type: 'a', value: '' }] }, 'missing selector value'],
    [{ dnsNames: ['a..b'] }, 'invalid DNS name: idna error: empty label'],
    [
      { federatesWith: ['Other.org'] },
      'invalid federated trust domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
    ],
    [{ hint: 'x'.repeat(1025) }, 'hint is too long, max length is 1024 characters'],
  ])('%j is refused', async (fields, reason) => {
    expect(await createOne(fields)).toEqual({
      status: { code: statusCode.INVALID_ARGUMENT, message: `failed to convert entry: ${reason}` },
      entry: undefined,
    });
  });

  test.each([
    [{ id: 'a b' }, /contains invalid characters/],
    [{ id: 'x'.repeat(256) }, /too long/],
    [{ x509SvidTtl: -1 }, /X509SvidTtl is not set$/],
    [{ jwtSvidTtl: -1 }, /JwtSvidTtl is not set$/],
    [{ federatesWith: ['unknown.org'] }, /unknown\.org/],
    [
      {
        storeSvid: true,
        selectors: [
          { type: 'a', value: '1' },
          { type: 'b', value: '1' },
        ],
      },
      /selector/i,
    ],
    [
      { storeSvid: true, additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false } },
      /datastore-validation: specifying cache behaviour/,
    ],
  ])('%j is refused by the store', async (fields, reason) => {
    const { status, entry } = await createOne(fields);
    expect(entry).toBeUndefined();
    expect(status?.code).toBe(statusCode.INVALID_ARGUMENT);
    expect(status?.message).toMatch(/^failed to create entry: /);
    expect(status?.message).toMatch(reason);
  });
});

test('the answer to a change has the selectors in the order in which they were sent', async () => {
  const selectors = ['c', 'a', 'b'].map((value) => ({ type: 'unix', value }));
  const { entry } = await createOne({ selectors });
  expect(entry?.selectors).toEqual(selectors);
  const turned = [...selectors].reverse();
  const { results } = await server.local.entry.batchUpdateEntry({
    entries: [{ ...entry!, selectors: turned }],
    inputMask: undefined,
    outputMask: undefined,
  });
  expect(results[0]?.entry?.selectors).toEqual(turned);
});

describe('an update', () => {
  const update = async (entry: Entry, inputMask?: EntryMask) =>
    (await server.local.entry.batchUpdateEntry({ entries: [entry], inputMask, outputMask: undefined })).results[0]!;

  test('changes what its mask names, and counts', async () => {
    const { entry } = await createOne({ hint: 'before', x509SvidTtl: 10 });
    const changed = { ...Entry.create({ id: entry!.id, hint: 'after', x509SvidTtl: 99 }) };
    const result = await update(changed, EntryMask.create({ hint: true }));
    expect(result.entry).toEqual({ ...entry, hint: 'after', revisionNumber: 1 });
  });

  test('without a mask replaces everything', async () => {
    const { entry } = await createOne({
      hint: 'before',
      additionalAttributes: { disableX509SvidPrefetch: false, jwtSvidIncludeJti: true },
    });
    const result = await update({ ...entry!, hint: '', dnsNames: ['x.org'], additionalAttributes: undefined });
    expect(result.entry).toEqual({
      ...entry,
      hint: '',
      dnsNames: ['x.org'],
      additionalAttributes: undefined,
      revisionNumber: 1,
    });
  });

  test('of an entry that is not there is refused', async () => {
    expect((await update(entryWith({ id: 'nothing' }))).status).toEqual({
      code: statusCode.NOT_FOUND,
      message: 'failed to update entry',
    });
  });

  test('to no selectors is refused when the mask names them, and only then', async () => {
    const { entry } = await createOne();
    const bare = Entry.create({ id: entry!.id });
    expect((await update(bare, EntryMask.create({ selectors: true }))).status?.message).toBe(
      'failed to convert entry: selector list is empty',
    );
    expect((await update(bare, EntryMask.create({ admin: true }))).status?.code).toBe(0);
  });
});

describe('a list', () => {
  test('comes in pages, however large a page was asked for', async () => {
    await create(...Array.from({ length: 5 }, () => entryWith({ parentId: id('/paged') })));
    const filter = {
      byParentId: id('/paged'),
      bySpiffeId: undefined,
      bySelectors: undefined,
      byFederatesWith: undefined,
      byHint: undefined,
      byDownstream: undefined,
    };
    const sizes: number[] = [];
    let pageToken = '';
    do {
      const page = await server.local.entry.listEntries({ filter, pageSize: 2, pageToken, outputMask: undefined });
      sizes.push(page.entries.length);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(sizes.filter((size) => size > 0)).toEqual([2, 2, 1]);
    const huge = await server.local.entry.listEntries({
      filter,
      pageSize: 2 ** 31 - 1,
      pageToken: '',
      outputMask: undefined,
    });
    expect(huge.entries).toHaveLength(5);
    expect(await server.local.entry.countEntries({ filter })).toEqual({ count: 5 });
  });

  test('comes whole where no page size is said, as SPIRE’s does, and no page has more than 1,000', async () => {
    const filter = { ...none, byParentId: id('/whole') };
    const many = Array.from({ length: 1_001 }, () => entryWith({ parentId: id('/whole') }));
    for (let start = 0; start < many.length; start += 500) await create(...many.slice(start, start + 500));
    const list = (pageSize: number) =>
      server.local.entry.listEntries({ filter, pageSize, pageToken: '', outputMask: EntryMask.create({}) });
    for (const size of [0, -1]) {
      const whole = await list(size);
      expect([whole.entries.length, whole.nextPageToken]).toEqual([1_001, '']);
    }
    const page = await list(5_000);
    expect(page.entries).toHaveLength(1_000);
    expect(page.nextPageToken).not.toBe('');
  });

  test('shows the fields of its mask', async () => {
    const { entry } = await createOne({ hint: 'masked' });
    const masked = await server.local.entry.getEntry({ id: entry!.id, outputMask: EntryMask.create({ hint: true }) });
    expect(masked).toEqual(Entry.create({ id: entry!.id, hint: 'masked' }));
  });

  const none = {
    byParentId: undefined,
    bySpiffeId: undefined,
    bySelectors: undefined,
    byFederatesWith: undefined,
    byHint: undefined,
    byDownstream: undefined,
  };
  test.each([
    [
      { byParentId: id('') },
      'malformed parent ID filter: "spiffe://example.org" is not a member of trust domain "example.org"; path is empty',
    ],
    [
      { bySpiffeId: id('/spire/agent/a') },
      'malformed SPIFFE ID filter: "spiffe://example.org/spire/agent/a" is not a workload in trust domain "example.org"; path is in the reserved namespace',
    ],
    [{ bySelectors: { selectors: [], match: 0 as const } }, 'malformed selectors filter: empty selector set'],
    [
      { bySelectors: { selectors: [{ type: '', value: 'x' }], match: 0 as const } },
      'malformed selectors filter: missing selector type',
    ],
    [
      { byFederatesWith: { trustDomains: [], match: 0 as const } },
      'malformed federates with filter: empty trust domain set',
    ],
    [
      { byFederatesWith: { trustDomains: ['A'], match: 0 as const } },
      'malformed federates with filter: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
    ],
  ])('filtered by %j is refused, and so is its count', async (filter, message) => {
    const request = { filter: { ...none, ...filter }, pageSize: 0, pageToken: '', outputMask: undefined };
    await expect(server.local.entry.listEntries(request)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message,
    });
    await expect(server.local.entry.countEntries(request)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message,
    });
  });
});

test('deleting names what was not there', async () => {
  const { entry } = await createOne();
  const { results } = await server.local.entry.batchDeleteEntry({ ids: [entry!.id, entry!.id, ''] });
  expect(results).toEqual([
    { id: entry!.id, status: { code: 0, message: 'OK' } },
    { id: entry!.id, status: { code: statusCode.NOT_FOUND, message: 'entry not found' } },
    { id: '', status: { code: statusCode.INVALID_ARGUMENT, message: 'missing entry ID' } },
  ]);
  await expect(server.local.entry.getEntry({ id: entry!.id, outputMask: undefined })).rejects.toMatchObject({
    code: statusCode.NOT_FOUND,
    message: 'entry not found',
  });
  await expect(server.local.entry.getEntry({ id: '', outputMask: undefined })).rejects.toMatchObject({
    code: statusCode.INVALID_ARGUMENT,
    message: 'missing ID',
  });
});
