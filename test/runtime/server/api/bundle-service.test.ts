import * as crypto from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bundle, BundleMask } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { createFakeAuthority } from '../../../support/fake-authority.ts';
import { createEntry, runServer, trustDomain } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';

let server: RunningTestServer;
beforeAll(async () => {
  server = await runServer();
});
afterAll(() => server.close());

const publicKey = generateKeyPairSync('ec-p256').publicKey.export({ format: 'der', type: 'spki' });
const jwtKey = (keyId: string) => ({ publicKey, keyId, expiresAt: 4_000_000_000, tainted: false });
const newRoot = () => ({ asn1: createFakeAuthority(trustDomain).roots()[0]!, tainted: false });
const append = (more: Partial<Parameters<typeof server.local.bundle.appendBundle>[0]>) =>
  server.local.bundle.appendBundle({
    x509Authorities: [],
    jwtAuthorities: [],
    witAuthorities: [],
    outputMask: undefined,
    ...more,
  });

describe('the bundle of the trust domain', () => {
  test('is shown to everybody, with what the mask leaves', async () => {
    const { bundle } = server.connectTls();
    const whole = await bundle.getBundle({ outputMask: undefined });
    expect(whole).toMatchObject({
      trustDomain: 'example.org',
      x509Authorities: [{ tainted: false }],
      jwtAuthorities: [{ tainted: false }],
    });
    expect(await bundle.getBundle({ outputMask: BundleMask.create({ sequenceNumber: true }) })).toEqual(
      Bundle.create({ trustDomain: 'example.org', sequenceNumber: whole.sequenceNumber }),
    );
  });

  test('grows by what is appended, its sequence number by one', async () => {
    const before = await server.local.bundle.getBundle({ outputMask: undefined });
    const after = await append({ x509Authorities: [newRoot()], jwtAuthorities: [jwtKey('appended')] });
    expect(after.x509Authorities).toHaveLength(before.x509Authorities.length + 1);
    expect(after.jwtAuthorities.map(({ keyId }) => keyId)).toContain('appended');
    expect(after.sequenceNumber).toBe(before.sequenceNumber + 1);
    expect(await server.local.bundle.getBundle({ outputMask: undefined })).toEqual(after);
    expect((await append({ jwtAuthorities: [jwtKey('appended')] })).sequenceNumber).toBe(after.sequenceNumber);
  });

  test.each([
    [{}, /^no authorities to append$/],
    [{ jwtAuthorities: [{ ...jwtKey(''), publicKey }] }, /^failed to convert JWT authority: missing key ID$/],
    [{ jwtAuthorities: [{ ...jwtKey('k'), publicKey: new Uint8Array([1]) }] }, /^failed to convert JWT authority: /],
    [{ x509Authorities: [{ asn1: new Uint8Array([1]), tainted: false }] }, /^failed to convert X\.509 authority: /],
  ])('refuses to append %o', async (more, message) => {
    await expect(append(more)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: expect.stringMatching(message) as string,
    });
  });

  test('takes a JWT key that a downstream server publishes', async () => {
    await createEntry(server.local, '/downstream', '/node', { downstream: true });
    const { bundle } = await server.connectAs('spiffe://example.org/downstream');
    const publish = async (): Promise<string[]> => {
      const { jwtAuthorities } = await bundle.publishJwtAuthority({ jwtAuthority: jwtKey('downstream') });
      return jwtAuthorities.map(({ keyId }) => keyId);
    };
    // Once the server has heard of the entry.
    await expect.poll(() => publish().catch(() => [])).toContain('downstream');
    await expect(bundle.publishJwtAuthority({ jwtAuthority: undefined })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'missing JWT authority',
    });
    await expect(bundle.publishJwtAuthority({ jwtAuthority: jwtKey('') })).rejects.toMatchObject({
      message: 'invalid JWT authority: missing key ID',
    });
    const weak = crypto
      .generateKeyPairSync('rsa', { modulusLength: 1024 })
      .publicKey.export({ format: 'der', type: 'spki' });
    await expect(
      bundle.publishJwtAuthority({ jwtAuthority: { ...jwtKey('w'), publicKey: weak } }),
    ).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: expect.stringContaining('RSA key of 1024 bits') as string,
    });
    await expect(bundle.publishWitAuthority({ witAuthority: undefined })).rejects.toMatchObject({
      code: statusCode.UNIMPLEMENTED,
    });
  });
});

describe('the bundle of another trust domain', () => {
  const other = (name: string, more: Partial<Bundle> = {}): Bundle => ({
    ...Bundle.create({ trustDomain: name, sequenceNumber: 7, refreshHint: 60 }),
    jwtAuthorities: [jwtKey('k')],
    ...more,
  });
  const masks = { outputMask: undefined };

  test('is created once, set, updated by its mask, listed, shown and deleted', async () => {
    const { bundle } = server.local;
    expect((await bundle.batchCreateFederatedBundle({ bundle: [other('a.org')], ...masks })).results).toEqual([
      { status: { code: 0, message: 'OK' }, bundle: other('a.org') },
    ]);
    expect((await bundle.batchCreateFederatedBundle({ bundle: [other('a.org')], ...masks })).results).toEqual([
      { status: { code: statusCode.ALREADY_EXISTS, message: 'bundle already exists' }, bundle: undefined },
    ]);
    const updated = await bundle.batchUpdateFederatedBundle({
      bundle: [other('a.org', { refreshHint: 30, jwtAuthorities: [] })],
      inputMask: BundleMask.create({ refreshHint: true }),
      ...masks,
    });
    expect(updated.results[0]?.bundle).toMatchObject({ refreshHint: 30, jwtAuthorities: [{ keyId: 'k' }] });
    expect(
      (await bundle.batchSetFederatedBundle({ bundle: [other('b.org')], ...masks })).results[0]?.status?.code,
    ).toBe(0);
    expect(
      (await bundle.listFederatedBundles({ ...masks, pageSize: 0, pageToken: '' })).bundles
        .map((one) => one.trustDomain)
        .sort(),
    ).toEqual(['a.org', 'b.org']);
    expect((await bundle.getFederatedBundle({ trustDomain: 'b.org', ...masks })).sequenceNumber).toBe(7);
    expect(await bundle.countBundles({})).toEqual({ count: 3 });
    const deleted = await bundle.batchDeleteFederatedBundle({
      trustDomains: ['a.org', 'b.org', 'c.org', 'example.org', 'C'],
      mode: 0,
    });
    expect(deleted.results.map(({ trustDomain: name, status }) => [name, status?.code, status?.message])).toEqual([
      ['a.org', 0, 'OK'],
      ['b.org', 0, 'OK'],
      ['c.org', statusCode.NOT_FOUND, 'bundle not found'],
      ['example.org', statusCode.INVALID_ARGUMENT, 'removing the bundle for the server trust domain is not allowed'],
      [
        'C',
        statusCode.INVALID_ARGUMENT,
        'trust domain argument is not valid: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
      ],
    ]);
  });

  test('is never our own', async () => {
    const { bundle } = server.local;
    await expect(bundle.getFederatedBundle({ trustDomain: 'example.org', ...masks })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: "getting a federated bundle for the server's own trust domain is not allowed",
    });
    const own = [other('example.org')];
    const outcomes = [
      await bundle.batchCreateFederatedBundle({ bundle: own, ...masks }),
      await bundle.batchSetFederatedBundle({ bundle: own, ...masks }),
      await bundle.batchUpdateFederatedBundle({ bundle: own, inputMask: undefined, ...masks }),
    ];
    expect(outcomes.map(({ results }) => results[0]?.status)).toEqual(
      ['creating', 'setting', 'updating'].map((act) => ({
        code: statusCode.INVALID_ARGUMENT,
        message: `${act} a federated bundle for the server's own trust domain is not allowed`,
      })),
    );
  });

  test('that is not there cannot be shown or updated', async () => {
    const { bundle } = server.local;
    await expect(bundle.getFederatedBundle({ trustDomain: 'none.org', ...masks })).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      message: 'bundle not found',
    });
    const { results } = await bundle.batchUpdateFederatedBundle({
      bundle: [other('none.org')],
      inputMask: undefined,
      ...masks,
    });
    expect(results).toEqual([
      { status: { code: statusCode.NOT_FOUND, message: 'bundle not found' }, bundle: undefined },
    ]);
  });

  test('that entries federate with is kept, unless the mode says what becomes of them', async () => {
    const { bundle, entry } = server.local;
    await bundle.batchSetFederatedBundle({ bundle: [other('used.org')], ...masks });
    const made = await createEntry(server.local, '/federated', '/node', { federatesWith: ['used.org'] });
    const restricted = await bundle.batchDeleteFederatedBundle({ trustDomains: ['used.org'], mode: 0 });
    expect(restricted.results[0]?.status?.code).toBe(statusCode.FAILED_PRECONDITION);
    const dissociated = await bundle.batchDeleteFederatedBundle({ trustDomains: ['used.org'], mode: 2 });
    expect(dissociated.results[0]?.status?.code).toBe(0);
    expect((await entry.getEntry({ id: made.id, outputMask: undefined })).federatesWith).toEqual([]);
  });
});
