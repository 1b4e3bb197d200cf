import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TrustDomainService } from '../../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import type { FederationRelationship } from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import { certificatesToPem } from '../../../../runtime/pki/pem.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { internal, notFound, unknown } from '../../../../runtime/rpc/status.ts';
import { emptyBundle, encodeSpiffeBundle } from '../../../../runtime/spiffe/bundle.ts';
import { createTestCa } from '../../rpc/test-ca.ts';
import { startStubServer } from './stub-server.ts';
import type { StubServer } from './stub-server.ts';

const ca = createTestCa('td-3.org');
const pem = certificatesToPem([ca.root.der]);
const jwtKey = generateKeyPairSync('ec-p256').publicKey.export({ format: 'der', type: 'spki' });
const document = encodeSpiffeBundle({
  ...emptyBundle(ca.trustDomain),
  x509Authorities: [{ asn1: ca.root.der }],
  jwtAuthorities: [{ keyId: 'KID', publicKey: new Uint8Array(jwtKey), expiresAt: 0 }],
  refreshHintSeconds: 60,
  sequenceNumber: 9,
});
const url = (trustDomain: string) => `https://${trustDomain}/bundle`;
const web: FederationRelationship = {
  trustDomain: 'td-1.org',
  bundleEndpointUrl: url('td-1.org'),
  bundleEndpointProfile: { $case: 'httpsWeb', value: {} },
  trustDomainBundle: undefined,
};
const spiffe: FederationRelationship = {
  trustDomain: 'td-2.org',
  bundleEndpointUrl: url('td-2.org'),
  bundleEndpointProfile: { $case: 'httpsSpiffe', value: { endpointSpiffeId: 'spiffe://other.org/bundle' } },
  trustDomainBundle: undefined,
};
const x509Authorities = [{ asn1: Buffer.from(ca.root.der), tainted: false }];
const withBundle: FederationRelationship = {
  trustDomain: 'td-3.org',
  bundleEndpointUrl: url('td-3.org'),
  bundleEndpointProfile: { $case: 'httpsSpiffe', value: { endpointSpiffeId: 'spiffe://td-3.org/bundle' } },
  trustDomainBundle: Bundle.create({ trustDomain: 'td-3.org', x509Authorities }),
};
const withDocument: FederationRelationship = {
  ...withBundle,
  trustDomainBundle: Bundle.create({
    trustDomain: 'td-3.org',
    x509Authorities,
    jwtAuthorities: [{ keyId: 'KID', publicKey: jwtKey, expiresAt: 0, tainted: false }],
    refreshHint: 60,
    sequenceNumber: 9,
  }),
};

const webText = `Trust domain              : td-1.org
Bundle endpoint URL       : https://td-1.org/bundle
Bundle endpoint profile   : https_web
`;
const spiffeText = `Trust domain              : td-2.org
Bundle endpoint URL       : https://td-2.org/bundle
Bundle endpoint profile   : https_spiffe
Endpoint SPIFFE ID        : spiffe://other.org/bundle
`;

const fileItem = ({ trustDomain, bundleEndpointUrl }: FederationRelationship) => ({
  trustDomain,
  bundleEndpointURL: bundleEndpointUrl,
});
const files = {
  'bundle.pem': pem,
  'bundle.json': document,
  corrupted: 'corrupted-bundle',
  'all.json': JSON.stringify({
    federationRelationships: [
      { ...fileItem(web), bundleEndpointProfile: 'https_web' },
      // Both spellings are in use.
      { ...fileItem(spiffe), bundleEndpointProfile: 'https_spiffe', endpointSpiffeID: 'spiffe://other.org/bundle' },
      {
        ...fileItem(withBundle),
        bundleEndpointProfile: 'https_spiffe',
        endpointSPIFFEID: 'spiffe://td-3.org/bundle',
        trustDomainBundle: pem,
        trustDomainBundleFormat: 'pem',
      },
      {
        ...fileItem(withDocument),
        bundleEndpointProfile: 'https_spiffe',
        endpointSPIFFEID: 'spiffe://td-3.org/bundle',
        trustDomainBundle: JSON.parse(document) as unknown,
        trustDomainBundleFormat: 'spiffe',
      },
    ],
  }),
  'item.json': JSON.stringify({ federationRelationships: [{ ...fileItem(web), trustDomain: '' }] }),
  'format.json': JSON.stringify({
    federationRelationships: [{ ...fileItem(web), bundleEndpointProfile: 'https_web', trustDomainBundle: pem }],
  }),
  'no-pem.json': JSON.stringify({
    federationRelationships: [
      { ...fileItem(web), bundleEndpointProfile: 'https_web', trustDomainBundle: {}, trustDomainBundleFormat: 'pem' },
    ],
  }),
  'broken.json': '{',
};

let server: StubServer;
let asked: unknown[] = [];
/** The answer of the server to each relationship by its trust domain: refused where it is here. */
let refused = new Map<string, string>();
let listed = [web, spiffe];
let failure: Error | undefined;

const results = (relationships: readonly FederationRelationship[]) => ({
  results: relationships.map((relationship) => {
    const message = refused.get(relationship.trustDomain);
    return message === undefined
      ? { status: { code: 0, message: 'OK' }, federationRelationship: relationship }
      : { status: { code: 6, message }, federationRelationship: undefined };
  }),
});
const note = (request: unknown): void => {
  if (failure !== undefined) throw failure;
  asked.push(request);
};

beforeAll(async () => {
  server = await startStubServer((rpc) => {
    rpc.addService(TrustDomainService, {
      batchCreateFederationRelationship: async (request) => {
        note(request.federationRelationships);
        return results(request.federationRelationships);
      },
      batchUpdateFederationRelationship: async (request) => {
        note([request.inputMask, request.federationRelationships]);
        return results(request.federationRelationships);
      },
      getFederationRelationship: async ({ trustDomain }) => {
        note(trustDomain);
        if (trustDomain !== web.trustDomain) throw notFound('federation relationship does not exist');
        return web;
      },
      listFederationRelationships: async ({ pageToken }) => {
        note(pageToken);
        // One a page, and a token after the last, as SPIRE's server does.
        const index = Number(pageToken === '' ? 0 : pageToken);
        const page = listed.slice(index, index + 1);
        return { federationRelationships: page, nextPageToken: page.length === 0 ? '' : String(index + 1) };
      },
      batchDeleteFederationRelationship: async ({ trustDomains }) => {
        note(trustDomains);
        const message = refused.get(trustDomains[0] ?? '');
        const status = message === undefined ? { code: 0, message: 'OK' } : { code: 5, message };
        return { results: [{ status, trustDomain: trustDomains[0] ?? '' }] };
      },
      refreshBundle: async ({ trustDomain }) => {
        note(trustDomain);
        if (trustDomain === 'none.org') throw notFound('no relationship with trust domain "none.org"');
        return {};
      },
    });
  }, files);
});
afterAll(() => server.close());
beforeEach(() => {
  asked = [];
  refused = new Map<string, string>();
  listed = [web, spiffe];
  failure = undefined;
});

const webFlags = [
  '-trustDomain',
  'td-1.org',
  '-bundleEndpointURL',
  url('td-1.org'),
  '-bundleEndpointProfile',
  'https_web',
];
const spiffeFlags = (endpoint: string, name = 'td-2.org') => [
  '-trustDomain',
  name,
  '-bundleEndpointURL',
  url(name),
  '-bundleEndpointProfile',
  'https_spiffe',
  '-endpointSpiffeID',
  endpoint,
];

describe.each([
  ['create', (relationships: unknown) => relationships],
  ['update', (relationships: unknown) => [undefined, relationships]],
] as const)('federation %s', (act, request) => {
  test.each([
    [webFlags, [web], `\n${webText}`],
    [spiffeFlags('spiffe://other.org/bundle'), [spiffe], `\n${spiffeText}`],
    [
      [...spiffeFlags('spiffe://td-3.org/bundle', 'td-3.org'), '-trustDomainBundlePath', 'bundle.pem'],
      [withBundle],
      expect.stringContaining('td-3.org'),
    ],
    [
      [
        ...spiffeFlags('spiffe://td-3.org/bundle', 'td-3.org'),
        '-trustDomainBundlePath',
        'bundle.json',
        '-trustDomainBundleFormat',
        'spiffe',
      ],
      [withDocument],
      expect.stringContaining('td-3.org'),
    ],
    [
      ['-data', 'all.json'],
      [web, spiffe, withBundle, withDocument],
      expect.stringContaining(`\n${webText}\n${spiffeText}\n`),
    ],
  ])('%j', async (argv, relationships, out: unknown) => {
    expect(await server.run('federation', act, ...argv)).toEqual({ code: 0, out, err: '' });
    expect(asked).toEqual([request(relationships)]);
  });

  test('names the bundle after the endpoint’s trust domain', async () => {
    await server.run(
      'federation',
      act,
      ...spiffeFlags('spiffe://other.org/bundle'),
      '-trustDomainBundlePath',
      'bundle.pem',
    );
    const bundled = { ...spiffe, trustDomainBundle: { ...withBundle.trustDomainBundle!, trustDomain: 'other.org' } };
    expect(asked).toEqual([request([bundled])]);
  });

  test('tells which ones were refused', async () => {
    refused.set('td-1.org', 'the "message"');
    const run = await server.run('federation', act, '-data', 'all.json');
    expect(run.code).toBe(1);
    expect(run.out).toMatch(/^\nTrust domain +: td-2\.org\n/);
    expect(run.err).toBe(
      `Failed to ${act} the following federation relationship (code: AlreadyExists, msg: "the \\"message\\""):\n${webText}Error: failed to ${act} one or more federation relationships\n`,
    );
  });

  test('prints JSON', async () => {
    refused.set('td-2.org', 'no');
    const shown = (flags: string[]) => server.run('federation', act, ...flags, '-output', 'json');
    expect(await shown(webFlags)).toEqual({
      code: 0,
      out: '{"results":[{"federation_relationship":{"bundle_endpoint_url":"https://td-1.org/bundle","https_web":{},"trust_domain":"td-1.org"},"status":{"code":0,"message":"OK"}}]}\n',
      err: '',
    });
    expect(await shown(spiffeFlags('spiffe://other.org/bundle'))).toEqual({
      code: 0,
      out: '{"results":[{"status":{"code":6,"message":"no"}}]}\n',
      err: '',
    });
  });

  test.each([
    [[], 'trust domain is required'],
    [['-trustDomain', 'td.org'], 'bundle endpoint URL is required'],
    [
      ['-trustDomain', 'td.org', '-bundleEndpointURL', 'https://td.org', '-bundleEndpointProfile', 'bad-type'],
      'unknown bundle endpoint profile type: "bad-type"',
    ],
    [spiffeFlags(''), "endpoint SPIFFE ID is required if 'https_spiffe' endpoint profile is set"],
    [spiffeFlags('invalid-id'), 'cannot parse bundle endpoint SPIFFE ID: scheme is missing or invalid'],
    [
      [...webFlags, '-trustDomainBundlePath', 'corrupted'],
      'cannot parse bundle file: unable to parse bundle data: no PEM blocks',
    ],
    [
      [...webFlags, '-trustDomainBundlePath', 'corrupted', '-trustDomainBundleFormat', 'spiffe'],
      'cannot parse bundle file: unable to parse to spiffe bundle: malformed bundle: it is not JSON, or nested too deep',
    ],
    [
      [...webFlags, '-trustDomainBundlePath', 'bundle.pem', '-trustDomainBundleFormat', 'der'],
      'cannot parse bundle file: bundle format "der" is unsupported',
    ],
    [
      ['-data', 'all.json', '-trustDomain', 'td.org'],
      "cannot use other flags to specify relationship fields when 'data' flag is set",
    ],
    [
      ['-data', 'all.json', '-trustDomainBundleFormat', 'spiffe'],
      "cannot use other flags to specify relationship fields when 'data' flag is set",
    ],
    [['-data', 'item.json'], 'could not parse item 0: trust domain is required'],
    [
      ['-data', 'format.json'],
      'could not parse item 0: cannot parse bundle raw message: bundle format "" is unsupported',
    ],
    [
      ['-data', 'no-pem.json'],
      'could not parse item 0: cannot parse bundle raw message: failed to unmarshal json: want a string of PEM blocks',
    ],
  ])('%j is refused', async (argv, message) => {
    expect(await server.run('federation', act, ...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
    expect(asked).toEqual([]);
  });

  test('refuses a file that is no JSON', async () => {
    const { code, err } = await server.run('federation', act, '-data', 'broken.json');
    expect([code, err]).toEqual([1, expect.stringMatching(/^Error: failed to parse JSON: /)]);
  });

  test('tells why the server did not answer', async () => {
    failure = unknown('server error');
    expect(await server.run('federation', act, ...webFlags)).toEqual({
      code: 1,
      out: '',
      err: 'Error: request failed: rpc error: code = Unknown desc = server error\n',
    });
  });
});

describe('federation show', () => {
  test('prints one relationship', async () => {
    expect(await server.run('federation', 'show', '-trustDomain', 'td-1.org')).toEqual({
      code: 0,
      out: `Found a federation relationship with trust domain td-1.org:\n\n${webText}`,
      err: '',
    });
    expect((await server.run('federation', 'show', '-trustDomain', 'td-1.org', '-output', 'json')).out).toBe(
      '{"bundle_endpoint_url":"https://td-1.org/bundle","https_web":{},"trust_domain":"td-1.org"}\n',
    );
  });

  test.each([
    [[], 'a trust domain name is required'],
    [
      ['-trustDomain', 'none.org'],
      'error showing federation relationship: rpc error: code = NotFound desc = federation relationship does not exist',
    ],
  ])('%j is refused', async (argv, message) => {
    expect(await server.run('federation', 'show', ...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
  });
});

describe('federation list', () => {
  test('prints all relationships, whatever pages they come in', async () => {
    expect((await server.run('federation', 'list')).out).toBe(
      `Found 2 federation relationships\n\n${webText}\n${spiffeText}`,
    );
    expect((await server.run('federation', 'list', '-output', 'json')).out).toBe(
      '{"federation_relationships":[{"bundle_endpoint_url":"https://td-1.org/bundle","https_web":{},"trust_domain":"td-1.org"},' +
        '{"bundle_endpoint_url":"https://td-2.org/bundle","https_spiffe":{"endpoint_spiffe_id":"spiffe://other.org/bundle"},"trust_domain":"td-2.org"}],' +
        '"next_page_token":""}\n',
    );
  });

  test('counts in words', async () => {
    listed = [web];
    expect((await server.run('federation', 'list')).out).toBe(`Found 1 federation relationship\n\n${webText}`);
    listed = [];
    expect((await server.run('federation', 'list')).out).toBe('Found 0 federation relationships\n');
  });

  test('tells why it could not', async () => {
    failure = internal('oh no');
    expect((await server.run('federation', 'list')).err).toBe(
      'Error: error listing federation relationship: rpc error: code = Internal desc = oh no\n',
    );
  });
});

describe('federation delete', () => {
  test('deletes by the ID', async () => {
    expect(await server.run('federation', 'delete', '-id', 'spiffe://td-1.org')).toEqual({
      code: 0,
      out: 'federation relationship deleted.\n',
      err: '',
    });
    expect(asked).toEqual([['spiffe://td-1.org']]);
    expect((await server.run('federation', 'delete', '-id', 'td-1.org', '-output', 'json')).out).toBe(
      '{"results":[{"status":{"code":0,"message":"OK"},"trust_domain":"td-1.org"}]}\n',
    );
  });

  test('tells what was refused', async () => {
    refused.set('td-1.org', 'federation relationship not found');
    expect(await server.run('federation', 'delete')).toEqual({ code: 1, out: '', err: 'Error: id is required\n' });
    expect((await server.run('federation', 'delete', '-id', 'td-1.org')).err).toBe(
      'Error: failed to delete federation relationship "td-1.org": federation relationship not found\n',
    );
    failure = internal('oh no');
    expect((await server.run('federation', 'delete', '-id', 'td-1.org')).err).toBe(
      'Error: failed to delete federation relationship: rpc error: code = Internal desc = oh no\n',
    );
  });
});

describe('federation refresh', () => {
  test('fetches the bundle', async () => {
    expect(await server.run('federation', 'refresh', '-id', 'td-1.org')).toEqual({
      code: 0,
      out: 'Bundle refreshed\n',
      err: '',
    });
    expect(asked).toEqual(['td-1.org']);
    expect((await server.run('federation', 'refresh', '-id', 'td-1.org', '-output', 'json')).out).toBe(
      '{"code":0,"message":"OK"}\n',
    );
  });

  test('tells why it could not', async () => {
    expect((await server.run('federation', 'refresh')).err).toBe('Error: id is required\n');
    expect((await server.run('federation', 'refresh', '-id', 'none.org')).err).toBe(
      'Error: there is no federation relationship with trust domain "none.org"\n',
    );
    failure = internal('oh no');
    expect((await server.run('federation', 'refresh', '-id', 'td-1.org')).err).toBe(
      'Error: failed to refresh bundle: rpc error: code = Internal desc = oh no\n',
    );
  });
});
