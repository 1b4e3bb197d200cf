// `bundle list|set|delete` against a server that keeps what it is given.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BatchDeleteFederatedBundleRequest_Mode as DeleteMode,
  BundleService,
} from '../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type { BatchDeleteFederatedBundleRequest } from '../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { certificatesToPem } from '../../../../runtime/pki/pem.ts';
import { notFound } from '../../../../runtime/rpc/status.ts';
import { encodeSpiffeBundle } from '../../../../runtime/spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../../support/fake-authority.ts';
import { startStubServer } from './stub-server.ts';
import type { StubServer } from './stub-server.ts';

const [root] = createFakeAuthority(parseTrustDomain('other.org')).roots();
const pem = certificatesToPem([root!]);
const bundle = (trustDomain: string) =>
  Bundle.create({ trustDomain, x509Authorities: [{ asn1: root!, tainted: false }], sequenceNumber: 3 });
const document = encodeSpiffeBundle({
  trustDomain: parseTrustDomain('other.org'),
  x509Authorities: [{ asn1: root! }],
  jwtAuthorities: [],
  refreshHintSeconds: 60,
  sequenceNumber: 9,
});

/** What gRPC hands over are Buffers. */
const withPlainBytes = (one: Bundle): Bundle => ({
  ...one,
  x509Authorities: one.x509Authorities.map((authority) => ({ ...authority, asn1: new Uint8Array(authority.asn1) })),
});

let server: StubServer;
let set: Bundle[] = [];
let deleted: BatchDeleteFederatedBundleRequest[] = [];

beforeAll(async () => {
  server = await startStubServer(
    (rpc) => {
      rpc.addService(BundleService, {
        listFederatedBundles: async () => ({ bundles: [bundle('a.org'), bundle('b.org')], nextPageToken: '' }),
        getFederatedBundle: async ({ trustDomain }) => {
          if (trustDomain !== 'a.org') throw notFound('bundle not found');
          return bundle('a.org');
        },
        batchSetFederatedBundle: async (request) => {
          set = request.bundle.map(withPlainBytes);
          const refused = request.bundle[0]?.trustDomain === 'example.org';
          const status = refused ? { code: 3, message: 'that is ours' } : { code: 0, message: 'OK' };
          return { results: [{ status, bundle: refused ? undefined : request.bundle[0] }] };
        },
        batchDeleteFederatedBundle: async (request) => {
          deleted.push(request);
          const [trustDomain = ''] = request.trustDomains;
          const status = trustDomain === 'b.org' ? { code: 9, message: 'in use' } : { code: 0, message: 'OK' };
          return { results: [{ status, trustDomain }] };
        },
      });
    },
    { 'roots.pem': pem, 'bundle.json': document, 'broken.pem': 'nothing', '-': pem, 'broken.json': '{}' },
  );
});
afterAll(() => server.close());

const stars = '*'.repeat(40);

describe('bundle list', () => {
  test('prints all under their names', async () => {
    expect(await server.run('bundle', 'list')).toEqual({
      code: 0,
      out: `${stars}\n* a.org\n${stars}\n${pem}\n${stars}\n* b.org\n${stars}\n${pem}`,
      err: '',
    });
  });

  test('prints one without a name, in either format', async () => {
    expect((await server.run('bundle', 'list', '-id', 'a.org')).out).toBe(pem);
    const { out } = await server.run('bundle', 'list', '-id', 'a.org', '-format', 'SPIFFE');
    expect(JSON.parse(out)).toMatchObject({ keys: [{ use: 'x509-svid' }], spiffe_sequence: 3 });
  });

  test('prints JSON, whatever the format', async () => {
    const { out } = await server.run('bundle', 'list', '-output', 'json', '-format', 'x');
    expect(JSON.parse(out)).toMatchObject({ bundles: [{ trust_domain: 'a.org' }, {}], next_page_token: '' });
  });

  test.each([
    [['-id', 'c.org'], 'rpc error: code = NotFound desc = bundle not found'],
    [['-format', 'DER'], 'invalid format: "der"'],
    [['-id', 'a.org', '-format', 'DER'], 'invalid format: "der"'],
  ])('%j is refused', async (argv, message) => {
    expect(await server.run('bundle', 'list', ...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
  });
});

describe('bundle set', () => {
  test('reads PEM, from a file or standard input, and leaves the name to the server', async () => {
    const expected = { ...bundle('spiffe://other.org'), sequenceNumber: 0 };
    for (const path of [['-path', 'roots.pem'], []]) {
      set = [];
      expect(await server.run('bundle', 'set', '-id', 'spiffe://other.org', ...path)).toEqual({
        code: 0,
        out: 'bundle set.\n',
        err: '',
      });
      expect(set).toEqual([expected]);
    }
  });

  test('reads SPIFFE’s document', async () => {
    const argv = ['-id', 'spiffe://other.org', '-format', 'spiffe', '-path', 'bundle.json'];
    expect((await server.run('bundle', 'set', ...argv)).out).toBe('bundle set.\n');
    expect(set).toEqual([{ ...bundle('other.org'), refreshHint: 60, sequenceNumber: 9 }]);
  });

  test.each([
    [[], 'id flag is required'],
    [['-id', 'other.org', '-format', 'der'], 'invalid format: "der"'],
    [['-id', 'other.org', '-path', 'broken.pem'], 'unable to parse bundle data: no certificate found'],
    [['-id', 'Other', '-path', 'bundle.json', '-format', 'spiffe'], /^Error: trust domain characters are limited/],
    [
      ['-id', 'other.org', '-path', 'broken.json', '-format', 'spiffe'],
      /^Error: unable to parse to spiffe bundle: malformed bundle: "keys" is missing/,
    ],
    [['-id', 'example.org', '-path', 'roots.pem'], 'failed to set federated bundle: that is ours'],
  ])('%j is refused', async (argv, message) => {
    const { code, out, err } = await server.run('bundle', 'set', ...argv);
    expect([code, out]).toEqual([1, '']);
    if (typeof message === 'string') expect(err).toBe(`Error: ${message}\n`);
    else expect(err).toMatch(message);
  });
});

describe('bundle delete', () => {
  test.each([
    [[], DeleteMode.RESTRICT],
    [['-mode', 'restrict'], DeleteMode.RESTRICT],
    [['-mode', ''], DeleteMode.RESTRICT],
    [['-mode', 'dissociate'], DeleteMode.DISSOCIATE],
    [['-mode', 'delete'], DeleteMode.DELETE],
  ])('with %j', async (argv, mode) => {
    deleted = [];
    expect(await server.run('bundle', 'delete', '-id', 'a.org', ...argv)).toEqual({
      code: 0,
      out: 'bundle deleted.\n',
      err: '',
    });
    expect(deleted).toEqual([{ trustDomains: ['a.org'], mode }]);
  });

  test.each([
    [[], 'id is required'],
    [['-id', 'a.org', '-mode', 'Delete'], 'unsupported mode "Delete"'],
    [['-id', 'b.org'], 'failed to delete federated bundle "b.org": in use'],
  ])('%j is refused', async (argv, message) => {
    expect(await server.run('bundle', 'delete', ...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
  });
});
