import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ListEntriesRequest } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { EntryService } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import { notFound } from '../../../../runtime/rpc/status.ts';
import { runCaptured, startStubServer } from './stub-server.ts';
import type { StubServer } from './stub-server.ts';

const plain = Entry.create({
  id: 'entry-1',
  spiffeId: { trustDomain: 'example.org', path: '/workload' },
  parentId: { trustDomain: 'example.org', path: '/spire/agent/x509pop/a' },
  selectors: [{ type: 'unix', value: 'uid:1000' }],
  createdAt: 1_700_000_000,
});
const full = Entry.create({
  ...plain,
  id: 'entry-2',
  spiffeId: { trustDomain: 'example.org', path: '/full' },
  selectors: [
    { type: 'unix', value: 'uid:1001' },
    { type: 'unix', value: 'gid:1001' },
  ],
  revisionNumber: 3,
  downstream: true,
  x509SvidTtl: 60,
  jwtSvidTtl: 30,
  expiresAt: 1_700_000_000,
  federatesWith: ['other.org'],
  dnsNames: ['a.example.org'],
  admin: true,
  storeSvid: true,
  hint: 'internal',
  additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: true },
});

const plainText = `Entry ID                : entry-1
SPIFFE ID               : spiffe://example.org/workload
Parent ID               : spiffe://example.org/spire/agent/x509pop/a
Revision                : 0
X509-SVID TTL           : default
JWT-SVID TTL            : default
Selector                : unix:uid:1000

`;
const fullText = `Entry ID                : entry-2
SPIFFE ID               : spiffe://example.org/full
Parent ID               : spiffe://example.org/spire/agent/x509pop/a
Revision                : 3
Downstream              : true
X509-SVID TTL           : 60
JWT-SVID TTL            : 30
Expiration time         : 2023-11-14 22:13:20 +0000 UTC
Selector                : unix:gid:1001
Selector                : unix:uid:1001
FederatesWith           : other.org
DNS name                : a.example.org
Admin                   : true
StoreSvid               : true
Hint                    : internal
DisableX509SvidPrefetch : true
JwtSvidIncludeJti       : true

`;

let server: StubServer;
let listed: ListEntriesRequest[] = [];
let created: Entry[] = [];
let updated: Entry[] = [];
const files = {
  'entries.json': JSON.stringify({
    entries: [
      {
        selectors: [{ type: 'unix', value: 'uid:1' }],
        spiffe_id: 'spiffe://example.org/from-file',
        parent_id: 'spiffe://example.org/node',
        x509_svid_ttl: 10,
        federates_with: ['spiffe://other.org'],
        additional_attributes: { jwt_svid_include_jti: true },
      },
    ],
  }),
  'ids.json': '{"ids":["entry-1","missing"]}',
};

beforeAll(async () => {
  server = await startStubServer((rpc) => {
    rpc.addService(EntryService, {
      listEntries: async (request) => {
        listed.push(request);
        // Two pages.
        return request.pageToken === ''
          ? { entries: [plain], nextPageToken: 'next' }
          : { entries: [full], nextPageToken: '' };
      },
      countEntries: async ({ filter }) => ({ count: filter?.byHint === 'one' ? 1 : 7 }),
      getEntry: async ({ id }) => {
        if (id !== 'entry-1' && id !== 'entry-2') throw notFound('entry not found');
        return id === 'entry-1' ? plain : full;
      },
      batchCreateEntry: async ({ entries }) => {
        created = entries;
        const results = entries.map((entry) =>
          entry.hint === 'refuse'
            ? { status: { code: 3, message: 'failed to convert entry: bad' }, entry: undefined }
            : { status: { code: 0, message: 'OK' }, entry: { ...entry, id: 'entry-1' } },
        );
        return { results };
      },
      batchUpdateEntry: async ({ entries }) => {
        updated = entries;
        return {
          results: entries.map((entry) => ({
            status: { code: 0, message: 'OK' },
            entry: { ...entry, revisionNumber: 1 },
          })),
        };
      },
      batchDeleteEntry: async ({ ids }) => ({
        results: ids.map((id) => ({
          id,
          status: id === 'missing' ? { code: 5, message: 'entry not found' } : { code: 0, message: 'OK' },
        })),
      }),
    });
  }, files);
});
afterAll(() => server.close());
beforeEach(() => {
  listed = [];
  created = [];
  updated = [];
});

describe('entry show', () => {
  test('prints every page, sorted by SPIFFE ID', async () => {
    expect(await server.run('entry', 'show')).toEqual({
      code: 0,
      out: `Found 2 entries\n${fullText}${plainText}`,
      err: '',
    });
    expect(listed.map(({ pageSize, pageToken }) => [pageSize, pageToken])).toEqual([
      [500, ''],
      [500, 'next'],
    ]);
  });

  test('prints one entry by its id', async () => {
    expect(await server.run('entry', 'show', '-entryID', 'entry-1')).toEqual({
      code: 0,
      out: `Found 1 entry\n${plainText}`,
      err: '',
    });
  });

  test('prints JSON with proto names, 64-bit numbers as strings, no absent messages', async () => {
    const { out } = await server.run('entry', 'show', '-entryID', 'entry-1', '-output', 'json');
    expect(out).toBe(
      '{"entries":[{"admin":false,"created_at":"1700000000","dns_names":[],"downstream":false,"expires_at":"0","federates_with":[],' +
        '"hint":"","id":"entry-1","jwt_svid_ttl":0,"parent_id":{"path":"/spire/agent/x509pop/a","trust_domain":"example.org"},' +
        '"revision_number":"0","selectors":[{"type":"unix","value":"uid:1000"}],"spiffe_id":{"path":"/workload","trust_domain":"example.org"},' +
        '"store_svid":false,"x509_svid_ttl":0}],"next_page_token":""}\n',
    );
  });

  test('asks with the filter that the flags describe', async () => {
    await server.run(
      'entry',
      'show',
      '-spiffeID',
      'spiffe://example.org/w',
      '-parentID',
      'spiffe://example.org/p',
      '-selector',
      'unix:uid:1',
      '-matchSelectorsOn',
      'exact',
      '-federatesWith',
      'other.org',
      '-hint',
      'h',
      '-downstream',
    );
    expect(listed[0]?.filter).toEqual({
      bySpiffeId: { trustDomain: 'example.org', path: '/w' },
      byParentId: { trustDomain: 'example.org', path: '/p' },
      bySelectors: { selectors: [{ type: 'unix', value: 'uid:1' }], match: 0 },
      byFederatesWith: { trustDomains: ['other.org'], match: 2 },
      byHint: 'h',
      byDownstream: true,
    });
  });

  test.each([
    [['-entryID', 'x'], 'Error: error fetching entry ID x: rpc error: code = NotFound desc = entry not found\n'],
    [['-entryID', 'x', '-spiffeID', 'spiffe://a/b'], "Error: the -entryID flag can't be combined with others\n"],
    [['-spiffeID', 'a/b'], 'Error: error parsing SPIFFE ID "a/b": scheme is missing or invalid\n'],
    [['-selector', 'unix'], 'Error: error parsing selectors: selector "unix" must be formatted as type:value\n'],
    [['-federatesWith', 'a', '-matchFederatesWithOn', 'no'], 'Error: match behavior "no" unknown\n'],
    [['-selector', 'a:b', '-matchSelectorsOn', 'some'], 'Error: match behavior "some" unknown\n'],
  ])('%j is refused', async (argv, err) => {
    expect(await server.run('entry', 'show', ...argv)).toEqual({ code: 1, out: '', err });
  });
});

const asked = [
  '-parentID',
  'spiffe://example.org/spire/agent/x509pop/a',
  '-spiffeID',
  'spiffe://example.org/workload',
  '-selector',
  'unix:uid:1000',
];

describe('entry create', () => {
  test('sends what the flags say and prints what was made', async () => {
    expect(await server.run('entry', 'create', ...asked)).toEqual({ code: 0, out: plainText, err: '' });
    expect(created).toEqual([{ ...plain, id: '', createdAt: 0 }]);
  });

  test('makes the server the parent of a node', async () => {
    await server.run(
      'entry',
      'create',
      '-node',
      '-spiffeID',
      'spiffe://example.org/nodes',
      '-selector',
      'x509pop:subject:cn:a',
    );
    expect(created[0]?.parentId).toEqual({ trustDomain: 'example.org', path: '/spire/server' });
  });

  test('reads entries from a file', async () => {
    await server.run('entry', 'create', '-data', 'entries.json');
    expect(created).toEqual([
      Entry.create({
        spiffeId: { trustDomain: 'example.org', path: '/from-file' },
        parentId: { trustDomain: 'example.org', path: '/node' },
        selectors: [{ type: 'unix', value: 'uid:1' }],
        x509SvidTtl: 10,
        federatesWith: ['other.org'],
        additionalAttributes: { jwtSvidIncludeJti: true },
      }),
    ]);
  });

  test('prints what was refused on standard error and fails', async () => {
    const { code, out, err } = await server.run('entry', 'create', ...asked, '-hint', 'refuse');
    const shown = plainText.replace('entry-1', '(none)').replace(/\n\n$/, '\nHint                    : refuse\n\n');
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(
      `Failed to create the following entry (code: InvalidArgument, msg: "failed to convert entry: bad"):\n${shown}Error: failed to create one or more entries\n`,
    );
  });

  test.each([
    [[], 'at least one selector is required'],
    [['-selector', 'a:b'], 'a parent ID is required if the node flag is not set'],
    [['-selector', 'a:b', '-parentID', 'spiffe://a/b'], 'a SPIFFE ID is required'],
    [['-selector', 'a:b', '-node', '-federatesWith', 'x.org'], 'node entries can not federate'],
    [[...asked, '-x509SVIDTTL', '-1'], 'a positive x509-SVID TTL is required'],
    [[...asked, '-jwtSVIDTTL', '-1'], 'a positive JWT-SVID TTL is required'],
    [
      [...asked, '-x509SVIDTTL', '2147483648'],
      'invalid value for X509 SVID TTL: overflow converting int(2147483648) to int32',
    ],
  ])('%j is refused: %s', async (argv, message) => {
    expect(await server.run('entry', 'create', ...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
  });

  test('a flag that does not exist is named, with the usage', async () => {
    const { code, err } = await server.run('entry', 'create', '-ttl', '60');
    expect(code).toBe(1);
    expect(err).toMatch(/^flag provided but not defined: -ttl\nUsage of entry create:\n/);
  });
});

describe('entry update', () => {
  test('replaces the entry and keeps the attributes that no flag names', async () => {
    const { out } = await server.run('entry', 'update', '-entryID', 'entry-2', ...asked, '-jwtSVIDIncludeJTI');
    expect(out).toContain('Revision                : 1\n');
    expect(updated[0]?.additionalAttributes).toEqual({ disableX509SvidPrefetch: true, jwtSvidIncludeJti: true });
  });

  test.each([
    [[], 'entry ID is required'],
    [['-entryID', 'e'], 'at least one selector is required'],
    [['-entryID', 'e', '-selector', 'a:b'], 'a parent ID is required'],
    [['-entryID', 'e', '-selector', 'a:b', '-parentID', 'spiffe://a/b'], 'a SPIFFE ID is required'],
    [
      ['-entryID', 'gone', ...asked, '-jwtSVIDIncludeJTI'],
      'failed to fetch existing entry to merge additional attributes: rpc error: code = NotFound desc = entry not found',
    ],
  ])('%j is refused: %s', async (argv, message) => {
    expect(await server.run('entry', 'update', ...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
  });
});

test('entry count', async () => {
  expect(await server.run('entry', 'count')).toEqual({ code: 0, out: '7 registration entries\n', err: '' });
  expect(await server.run('entry', 'count', '-hint', 'one')).toEqual({
    code: 0,
    out: '1 registration entry\n',
    err: '',
  });
  expect(await server.run('entry', 'count', '-output=json')).toEqual({ code: 0, out: '{"count":7}\n', err: '' });
});

describe('entry delete', () => {
  test('by id', async () => {
    expect(await server.run('entry', 'delete', '-entryID', 'entry-1')).toEqual({
      code: 0,
      out: 'Deleted entry with ID: entry-1\n\n\nDeleted 1 entries successfully',
      err: '',
    });
  });

  test('by a file, telling what failed', async () => {
    expect(await server.run('entry', 'delete', '-file', 'ids.json')).toEqual({
      code: 1,
      out: 'Deleted entry with ID: entry-1\n\n\n\n\nDeleted 1 entries successfully, but failed to delete 1 entries',
      err: 'Failed to delete entry with ID missing (code: NotFound, msg: "entry not found")\nError: failed to delete one or more entries\n',
    });
  });

  test('without an id is refused', async () => {
    expect(await server.run('entry', 'delete')).toEqual({ code: 1, out: '', err: 'Error: an entry ID is required\n' });
  });
});

describe('the socket', () => {
  test('comes from the template of an instance', async () => {
    const template = { SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: server.socketPath.replace('api', '%i') };
    expect(await runCaptured(['entry', 'count', '-instance', 'api'], {}, template)).toMatchObject({
      code: 0,
      out: '7 registration entries\n',
    });
    expect((await runCaptured(['entry', 'count', '-instance', 'api'])).err).toBe(
      'Error: you must define SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE to use the instance flag\n',
    );
  });

  test('of the path flag or of an instance wins over the variable, which wins over the default', async () => {
    const environment = { SPIRE_SERVER_PRIVATE_SOCKET: server.socketPath };
    expect(await runCaptured(['entry', 'count'], {}, environment)).toMatchObject({ code: 0 });
    expect(await runCaptured(['entry', 'count', '-socketPath', '/none'], {}, environment)).toMatchObject({ code: 1 });
    const noPlace = { ...environment, SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: '/run/api.sock' };
    expect(await runCaptured(['entry', 'count', '-instance', 'a'], {}, noPlace)).toEqual({
      code: 1,
      out: '',
      err: 'Error: failed to find %i in SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE\n',
    });
  });

  test('that nobody answers is an error', async () => {
    const { code, err } = await runCaptured(['entry', 'count', '-socketPath', '/nonexistent/api.sock']);
    expect(code).toBe(1);
    expect(err).toMatch(/^Error: rpc error: code = Unavailable desc = /);
  });
});
