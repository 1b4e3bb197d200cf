import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import {
  FederationRelationship,
  FederationRelationshipMask,
} from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { createTestCa } from '../../rpc/test-ca.ts';
import { runServer } from '../../../support/run-server.ts';
import type { Clients, RunningTestServer } from '../../../support/run-server.ts';

let server: RunningTestServer;
let client: Clients['trustDomain'];
beforeAll(async () => {
  server = await runServer();
  client = server.local.trustDomain;
});
afterAll(() => server.close());
beforeEach(async () => {
  await client.batchDeleteFederationRelationship({ trustDomains: ['a.test', 'b.test'] });
  const trustDomains = ['a.test', 'b.test'];
  await server.local.bundle.batchDeleteFederatedBundle({ trustDomains, mode: 0 });
});

const whole = { outputMask: undefined };
const ok = { code: 0, message: 'OK' };
/** Nobody listens there: what is fetched in the background comes to nothing. */
const bundleEndpointUrl = 'https://127.0.0.1:1/bundle';
const web = (trustDomain: string, more: Partial<FederationRelationship> = {}): FederationRelationship => ({
  trustDomain,
  bundleEndpointUrl,
  bundleEndpointProfile: { $case: 'httpsWeb', value: {} },
  trustDomainBundle: undefined,
  ...more,
});
const spiffe = (endpointSpiffeId: string) =>
  ({ bundleEndpointProfile: { $case: 'httpsSpiffe', value: { endpointSpiffeId } } }) as const;
const bundleOf = (trustDomain: string) =>
  Bundle.create({
    trustDomain,
    x509Authorities: [{ asn1: Buffer.from(createTestCa('a.test').root.der), tainted: false }],
    refreshHint: 60,
    sequenceNumber: 3,
  });
const create = async (...federationRelationships: FederationRelationship[]) =>
  (await client.batchCreateFederationRelationship({ federationRelationships, ...whole })).results;
const update = async (relationship: FederationRelationship, mask?: Partial<FederationRelationshipMask>) => {
  const inputMask = mask && FederationRelationshipMask.create(mask);
  const federationRelationships = [relationship];
  return (await client.batchUpdateFederationRelationship({ federationRelationships, inputMask, ...whole })).results[0];
};
const get = (trustDomain: string) => client.getFederationRelationship({ trustDomain, ...whole });

describe('a relationship', () => {
  test('is created and shown, with the bundle that it brings', async () => {
    const a = web('a.test', { ...spiffe('spiffe://a.test/endpoint'), trustDomainBundle: bundleOf('a.test') });
    const b = web('b.test');
    expect(await create(a, b)).toEqual([
      { status: ok, federationRelationship: a },
      { status: ok, federationRelationship: b },
    ]);
    expect(await get('a.test')).toEqual(a);
    expect(await get('spiffe://b.test')).toEqual(b);
    expect(await server.local.bundle.getFederatedBundle({ trustDomain: 'a.test', ...whole })).toEqual(
      a.trustDomainBundle,
    );
  });

  test('is shown with the bundle that is kept, and created without it', async () => {
    const bundle = bundleOf('a.test');
    await server.local.bundle.batchSetFederatedBundle({ bundle: [bundle], ...whole });
    expect(await create(web('a.test'))).toEqual([{ status: ok, federationRelationship: web('a.test') }]);
    expect(await get('a.test')).toEqual(web('a.test', { trustDomainBundle: bundle }));
  });

  test('is shown in what the mask leaves', async () => {
    await create(web('a.test', { trustDomainBundle: bundleOf('a.test') }));
    const outputMask = FederationRelationshipMask.create({ bundleEndpointUrl: true });
    const left = FederationRelationship.create({ trustDomain: 'a.test', bundleEndpointUrl });
    expect(await client.getFederationRelationship({ trustDomain: 'a.test', outputMask })).toEqual(left);
    expect(await client.listFederationRelationships({ outputMask, pageSize: 0, pageToken: '' })).toEqual({
      federationRelationships: [left],
      nextPageToken: '',
    });
    const none = FederationRelationshipMask.create({});
    expect(await client.getFederationRelationship({ trustDomain: 'a.test', outputMask: none })).toEqual(
      FederationRelationship.create({ trustDomain: 'a.test' }),
    );
  });

  test('is listed page by page', async () => {
    await create(web('a.test'), web('b.test'));
    const first = await client.listFederationRelationships({ ...whole, pageSize: 1, pageToken: '' });
    expect(first.federationRelationships).toEqual([web('a.test')]);
    expect(await client.listFederationRelationships({ ...whole, pageSize: 1, pageToken: first.nextPageToken })).toEqual(
      { federationRelationships: [web('b.test')], nextPageToken: '' },
    );
    await expect(client.listFederationRelationships({ ...whole, pageSize: 1, pageToken: 'x' })).rejects.toMatchObject({
      message: "failed to list federation relationships: could not parse token 'x'",
    });
  });

  test('is updated whole, or in what the mask takes', async () => {
    await create(web('a.test', { trustDomainBundle: bundleOf('a.test') }));
    const [elsewhere, bundle] = ['https://127.0.0.1:2/', { ...bundleOf('a.test'), sequenceNumber: 1 }];
    const next = web('a.test', {
      ...spiffe('spiffe://a.test/endpoint'),
      bundleEndpointUrl: elsewhere,
      trustDomainBundle: bundle,
    });
    const shown = async (mask?: Partial<FederationRelationshipMask>) => {
      expect(await update(next, mask)).toEqual({ status: ok, federationRelationship: await get('a.test') });
      const { bundleEndpointUrl: url, bundleEndpointProfile: profile, trustDomainBundle: kept } = await get('a.test');
      return [url, profile?.$case, kept?.sequenceNumber];
    };
    expect(await shown({})).toEqual([bundleEndpointUrl, 'httpsWeb', 3]);
    expect(await shown({ bundleEndpointUrl: true })).toEqual([elsewhere, 'httpsWeb', 3]);
    expect(await shown({ bundleEndpointProfile: true })).toEqual([elsewhere, 'httpsSpiffe', 3]);
    expect(await shown({ trustDomainBundle: true })).toEqual([elsewhere, 'httpsSpiffe', 1]);
    await update(web('a.test'));
    expect(await get('a.test')).toEqual(web('a.test', { trustDomainBundle: bundle }));
  });

  test('is deleted, and its bundle stays', async () => {
    await create(web('a.test', { trustDomainBundle: bundleOf('a.test') }));
    const trustDomains = ['spiffe://a.test', 'a.test', '', 'A'];
    expect((await client.batchDeleteFederationRelationship({ trustDomains })).results).toEqual([
      { status: ok, trustDomain: 'a.test' },
      { status: { code: statusCode.NOT_FOUND, message: 'federation relationship not found' }, trustDomain: 'a.test' },
      { status: { code: statusCode.INVALID_ARGUMENT, message: 'missing trust domain' }, trustDomain: '' },
      {
        status: {
          code: statusCode.INVALID_ARGUMENT,
          message: expect.stringMatching(/^failed to parse trust domain: /) as string,
        },
        trustDomain: 'A',
      },
    ]);
    const kept = await server.local.bundle.getFederatedBundle({ trustDomain: 'a.test', ...whole });
    expect(kept.sequenceNumber).toBe(3);
  });
});

const names = 'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores';

describe('what does not hold is refused, item by item', () => {
  const malformed: [FederationRelationship, string][] = [
    [web(''), 'failed to parse trust domain: trust domain is missing'],
    [web('A.test'), `failed to parse trust domain: ${names}`],
    [web('a.test', { bundleEndpointUrl: '' }), 'bundle endpoint URL must use the https scheme'],
    [web('a.test', { bundleEndpointUrl: 'http://a.test' }), 'bundle endpoint URL must use the https scheme'],
    [web('a.test', { bundleEndpointUrl: 'https:///a' }), 'bundle endpoint URL must specify the host'],
    [web('a.test', { bundleEndpointUrl: 'https://u@a.test' }), 'bundle endpoint URL must not contain user info'],
    [
      web('a.test', { bundleEndpointUrl: 'https://a.test\0' }),
      'failed to parse bundle endpoint URL: it has characters that are not printable ASCII',
    ],
    [web('a.test', { bundleEndpointProfile: undefined }), 'unsupported bundle endpoint profile type: <nil>'],
    [web('a.test', spiffe('')), 'failed to parse endpoint SPIFFE ID: cannot be empty'],
    [web('a.test', spiffe('a.test/endpoint')), 'failed to parse endpoint SPIFFE ID: scheme is missing or invalid'],
    [
      web('a.test', { trustDomainBundle: bundleOf('b.test') }),
      'trust domain bundle ("b.test") must match the trust domain of the federation relationship ("a.test")',
    ],
    [web('a.test', { trustDomainBundle: bundleOf('B') }), `failed to parse bundle: invalid trust domain: ${names}`],
    [
      web('a.test', {
        trustDomainBundle: Bundle.create({
          trustDomain: 'a.test',
          jwtAuthorities: [{ publicKey: new Uint8Array([1]), keyId: 'k', expiresAt: 0, tainted: false }],
        }),
      }),
      'failed to parse bundle: unable to parse JWT authority: public key does not decode',
    ],
  ];

  test.each(malformed)('%#', async (relationship, reason) => {
    const message = `failed to convert federation relationship: ${reason}`;
    const refusal = { status: { code: statusCode.INVALID_ARGUMENT, message }, federationRelationship: undefined };
    expect(await create(relationship, web('b.test'))).toEqual([
      refusal,
      { status: ok, federationRelationship: web('b.test') },
    ]);
    // Whatever the mask takes of it.
    expect(await update(relationship, {})).toEqual(refusal);
  });

  test('our own trust domain', async () => {
    expect(await create(web('example.org'))).toEqual([
      {
        status: {
          code: statusCode.INVALID_ARGUMENT,
          message: 'unable to create federation relationship for server trust domain',
        },
        federationRelationship: undefined,
      },
    ]);
    const before = await server.local.bundle.getBundle(whole);
    const own = web('example.org', { trustDomainBundle: bundleOf('example.org') });
    expect((await update(own))?.status?.code).toBe(statusCode.INTERNAL);
    expect(await server.local.bundle.getBundle(whole)).toEqual(before);
  });

  test('one that is there, one that is not', async () => {
    await create(web('a.test'));
    expect((await create(web('a.test')))[0]?.status).toEqual({
      code: statusCode.INTERNAL,
      message: 'failed to create federation relationship: a record with this key exists',
    });
    expect((await update(web('b.test')))?.status).toEqual({
      code: statusCode.INTERNAL,
      message: 'failed to update federation relationship: no federation relationship with "b.test"',
    });
    await expect(get('b.test')).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      message: 'federation relationship does not exist',
    });
    await expect(get('B')).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: `failed to parse trust domain: ${names}`,
    });
  });
});

describe('a refresh', () => {
  test.each([
    ['', statusCode.INVALID_ARGUMENT, 'failed to parse trust domain: trust domain is missing'],
    ['c.test', statusCode.NOT_FOUND, 'no relationship with trust domain "c.test"'],
    ['example.org', statusCode.NOT_FOUND, 'no relationship with trust domain "example.org"'],
  ])('of %j is refused', async (trustDomain, code, message) => {
    await expect(client.refreshBundle({ trustDomain })).rejects.toMatchObject({ code, message });
  });

  test('says why it failed', async () => {
    await create(web('a.test'), web('b.test', spiffe('spiffe://b.test/endpoint')));
    await expect(client.refreshBundle({ trustDomain: 'spiffe://a.test' })).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      message: 'failed to refresh bundle: failed to fetch bundle: connect ECONNREFUSED 127.0.0.1:1',
    });
    await expect(client.refreshBundle({ trustDomain: 'b.test' })).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      message: "failed to refresh bundle: can't perform SPIFFE Authentication: local copy of bundle not found",
    });
    expect(server.lines.join('')).toContain('bundle not found for the endpoint SPIFFE ID trust domain');
  });
});

test('is for admins only', async () => {
  const { trustDomain } = server.connectTls();
  const calls = [
    trustDomain.listFederationRelationships({ ...whole, pageSize: 0, pageToken: '' }),
    trustDomain.getFederationRelationship({ trustDomain: 'a.test', ...whole }),
    trustDomain.batchCreateFederationRelationship({ federationRelationships: [], ...whole }),
    trustDomain.batchUpdateFederationRelationship({ federationRelationships: [], inputMask: undefined, ...whole }),
    trustDomain.batchDeleteFederationRelationship({ trustDomains: [] }),
    trustDomain.refreshBundle({ trustDomain: 'a.test' }),
  ];
  const outcomes = await Promise.allSettled(calls);
  expect(outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as { code: number }).code)).toEqual(
    calls.map(() => statusCode.PERMISSION_DENIED),
  );
});
