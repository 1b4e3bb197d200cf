import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCsr } from '../../../../runtime/pki/csr.ts';
import { subjectText } from '../../../../runtime/pki/certificate.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { verifyX509Svid } from '../../../../runtime/pki/x509-svid.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import { checkUpstream } from '../../../../runtime/server/upstream-plugins.ts';
import { openDiskUpstream } from '../../../../runtime/server/upstream/disk.ts';
import type { DiskUpstreamOptions } from '../../../../runtime/server/upstream/disk.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { createTestAuthority, hourMs, trustDomain, workloadKey } from '../../../support/authorities.ts';
import { createEnterpriseRoot } from '../../../support/enterprise-ca.ts';
import type { EnterpriseCa } from '../../../support/enterprise-ca.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';
import { eventually } from '../../../support/eventually.ts';

/** root > policy > issuing, and another root beside. */
const root = createEnterpriseRoot('Root');
const policy = root.issue('Policy');
const issuing = policy.issue('Issuing');
const stranger = createEnterpriseRoot('Stranger');

let directory: string;
const at = (name: string) => join(directory, name);
const write = (name: string, ...parts: string[]): string => {
  writeFileSync(at(name), parts.join(''));
  return at(name);
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'espalier-disk-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** The files of a self-signed CA. */
const selfSigned = (ca: EnterpriseCa) => ({
  certFilePath: write('cert.pem', ca.certificatePem),
  keyFilePath: write('key.pem', ca.keyPem),
});
/** Those of the issuing CA, with its chain and the root above. */
const chained = () => ({
  certFilePath: write('cert.pem', issuing.certificatePem, policy.certificatePem),
  keyFilePath: write('key.pem', issuing.keyPem),
  bundleFilePath: write('bundle.pem', root.certificatePem),
});
const open = (files: Partial<DiskUpstreamOptions>) =>
  openDiskUpstream({
    certFilePath: '',
    keyFilePath: '',
    trustDomain,
    log: silentLog,
    clock: Date.now,
    pollMs: 20,
    ...files,
  });
const csrFor = (id = 'spiffe://example.org') => {
  const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
  return createCsr({ signer, spiffeId: parseSpiffeId(id), subject: { country: 'US', organization: 'SPIFFE' } });
};
const never = new AbortController().signal;

describe('a CA signed under files', () => {
  let db: TestStore;
  const opened: CertificateAuthority[] = [];
  beforeEach(async () => {
    db = await createTestStore();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((ca) => ca.close()));
    await db.drop();
  });
  const openCa = async (files: Partial<DiskUpstreamOptions>, log = silentLog) => {
    const ca = await createTestAuthority({ store: db.store, upstream: await open(files), log });
    opened.push(ca);
    return ca;
  };
  const rootIds = (ca: CertificateAuthority) => ca.bundle().x509Authorities.map(x509AuthorityId);

  test.each([
    ['a root', () => selfSigned(root), 2, 1],
    ['an issuing CA two steps below the root', chained, 4, 3],
  ])('of %s signs leaves that verify against the root alone', async (_, files, length, chainLength) => {
    const ca = await openCa(files());
    const spiffeId = parseSpiffeId('spiffe://example.org/w');
    const { chain } = await ca.signX509Svid({ publicKey: workloadKey.publicKey, spiffeId });
    expect(chain).toHaveLength(length);
    const roots = ca.bundle().x509Authorities.map(({ asn1 }) => asn1);
    expect(roots).toEqual([root.der]);
    const verified = verifyX509Svid({
      chain: chain.map(({ der }) => der),
      roots: [root.der],
      now: Date.now(),
      trustDomain,
    });
    expect(verified.chain).toHaveLength(chainLength + 2);
    expect(subjectText(chain[1]!)).toBe('O=SPIFFE,C=US');
    expect(ca.x509Authority().upstreamAuthorityId).toBe(x509AuthorityId({ asn1: root.der }));
  });

  test('has its own JWT keys, says so once, and keeps one that is tainted until it is revoked', async () => {
    const warnings: string[] = [];
    const log = pino(
      { level: 'warn' },
      { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) },
    );
    const ca = await openCa(chained(), log);
    const first = ca.jwtAuthority().authorityId;
    await ca.jwt.activate((await ca.jwt.prepare()).authorityId);
    await ca.jwt.taint(first);
    write('bundle.pem', root.certificatePem, stranger.certificatePem);
    await eventually(() => expect(rootIds(ca)).toHaveLength(2));
    expect(ca.bundle().jwtAuthorities.map(({ keyId }) => keyId)).toContain(first);
    await ca.jwt.revoke(first);
    expect(ca.bundle().jwtAuthorities.map(({ keyId }) => keyId)).not.toContain(first);
    expect(warnings.filter((text) => text.includes('does not support JWT-SVIDs'))).toHaveLength(1);
  });

  test('moves under another root when the files have one, and the old root can be tainted and revoked', async () => {
    const ca = await openCa(selfSigned(root));
    const [first] = rootIds(ca);
    await expect(ca.x509Upstream!.taint('00')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    selfSigned(stranger);
    await eventually(() => expect(rootIds(ca)).toHaveLength(2));
    await ca.x509.activate((await ca.x509.prepare()).authorityId);
    expect(ca.x509Authority().upstreamAuthorityId).toBe(x509AuthorityId({ asn1: stranger.der }));
    await ca.x509Upstream!.taint(first!);
    await ca.x509Upstream!.revoke(first!);
    expect(ca.bundle().x509Authorities.map(({ asn1 }) => asn1)).toEqual([stranger.der]);
    expect(Object.keys(ca.x509.states())).toEqual(['active']);
  });
});

describe('files are refused', () => {
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  test.each([
    [
      'without a key',
      () => ({ ...selfSigned(root), keyFilePath: at('none') }),
      /^unable to load upstream CA key: ENOENT: .*none'$/,
    ],
    [
      'with a key that is none',
      () => ({ ...selfSigned(root), keyFilePath: write('k', 'secret') }),
      /^unable to load upstream CA key: the file holds no private key in PEM that is not encrypted$/,
    ],
    [
      'without a certificate',
      () => ({ ...selfSigned(root), certFilePath: at('none') }),
      /^unable to load upstream CA cert: ENOENT/,
    ],
    [
      'with an empty certificate file',
      () => ({ ...selfSigned(root), certFilePath: write('c', '') }),
      /^unable to load upstream CA cert: no certificate found$/,
    ],
    [
      'with a certificate that is none',
      () => ({ ...selfSigned(root), certFilePath: write('c', broken) }),
      /^unable to load upstream CA cert: /,
    ],
    [
      'without a bundle file for an intermediate',
      () => selfSigned(policy),
      /certificate cannot be validated with the provided bundle or is not self-signed$/,
    ],
    [
      'with a chain and no bundle',
      () => ({ ...chained(), bundleFilePath: undefined }),
      /^with no bundle_file_path configured only self-signed CAs are supported$/,
    ],
    [
      'with a bundle that is not there',
      () => ({ ...chained(), bundleFilePath: at('none') }),
      /^unable to load upstream CA bundle: ENOENT/,
    ],
    [
      'with the bundle of somebody else',
      () => ({ ...chained(), bundleFilePath: write('b', stranger.certificatePem) }),
      /cannot be validated with the provided bundle/,
    ],
    [
      'with the key of another CA',
      () => ({ ...selfSigned(root), keyFilePath: write('k', stranger.keyPem) }),
      /^unable to load upstream CA: certificate and private key do not match$/,
    ],
    [
      'with a CA that has expired',
      () => selfSigned(createEnterpriseRoot('Old', { notAfter: Date.now() - 1_000 })),
      /cannot be validated/,
    ],
  ])('%s', async (_, files, message) => {
    await expect(open(files())).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(message) as string,
    });
  });

  test('without a word of what a key file holds', async () => {
    const half = root.keyPem.slice(0, root.keyPem.length / 2);
    const error = await open({ ...selfSigned(root), keyFilePath: write('k', half) }).catch(
      (cause: unknown) => cause as Error,
    );
    const told = JSON.stringify(error, Object.getOwnPropertyNames(error)) + String((error as Error).cause);
    for (const line of half.split('\n').slice(1)) if (line.length > 8) expect(told).not.toContain(line);
  });
});

describe('signing', () => {
  test('is cut to the end of the upstream CA, and one hour where nothing is asked for', async () => {
    const notAfter = Math.floor(Date.now() / 1000) * 1000 + 2 * hourMs;
    const upstream = await open(selfSigned(createEnterpriseRoot('Short', { notAfter })));
    const lives = async (ttl: number) => (await upstream.mintX509Ca(csrFor(), ttl, never)).chain[0]!.notAfter;
    expect(await lives(100 * hourMs)).toBe(notAfter);
    const asked = Math.floor(Date.now() / 1000) * 1000; // a certificate counts whole seconds
    const usual = await lives(0);
    expect(usual).toBeGreaterThanOrEqual(asked + hourMs);
    expect(usual).toBeLessThanOrEqual(Date.now() + hourMs);
  });

  test.each([
    ['another trust domain', 'spiffe://other.test'],
    ['a workload', 'spiffe://example.org/w'],
  ])('is refused for %s', async (_, id) => {
    const upstream = await open(selfSigned(root));
    await expect(upstream.mintX509Ca(csrFor(id), hourMs, never)).rejects.toMatchObject({
      code: 'INVALID',
      message: `unable to sign CSR: CSR is for ${id}, want spiffe://example.org`,
    });
  });

  test('is refused under a certificate that is no CA', async () => {
    const upstream = await open({
      ...chained(),
      certFilePath: write('leaf.pem', root.issue('Leaf', { isCa: false }).certificatePem),
    }).catch((error: unknown) => error);
    expect(upstream).toMatchObject({
      code: 'INVALID',
      message: 'unable to load upstream CA: certificate and private key do not match',
    });
    const leaf = root.issue('Leaf', { isCa: false });
    const files = {
      certFilePath: write('leaf.pem', leaf.certificatePem),
      keyFilePath: write('leaf.key', leaf.keyPem),
      bundleFilePath: write('bundle.pem', root.certificatePem),
    };
    await expect((await open(files)).mintX509Ca(csrFor(), hourMs, never)).rejects.toMatchObject({
      code: 'INVALID',
      message: 'unable to sign CSR: CA certificate lacks the CA flag',
    });
  });

  test('uses files that were replaced, and the last ones that held while the new ones do not', async () => {
    const upstream = await open(selfSigned(root));
    const rootOf = async () => (await upstream.mintX509Ca(csrFor(), hourMs, never)).roots.map(({ asn1 }) => asn1);
    write('key.pem', stranger.keyPem);
    expect(await rootOf()).toEqual([root.der]);
    write('cert.pem', stranger.certificatePem);
    expect(await rootOf()).toEqual([stranger.der]);
  });
});

describe('its configuration', () => {
  const check = (data: Record<string, string>) => checkUpstream({ type: 'UpstreamAuthority', name: 'disk', data });
  test('names a certificate and a key, and a bundle where it likes', () => {
    expect(check({ cert_file_path: '/c', key_file_path: '/k' })).toEqual({
      kind: 'disk',
      certFilePath: '/c',
      keyFilePath: '/k',
    });
    expect(check({ cert_file_path: '/c', key_file_path: '/k', bundle_file_path: '/b' })).toMatchObject({
      bundleFilePath: '/b',
    });
  });
  test.each([
    ['no key', { cert_file_path: '/c' }, "'cert_file_path' and 'key_file_path' must be set and not empty"],
    [
      'an empty certificate',
      { cert_file_path: '', key_file_path: '/k' },
      "'cert_file_path' and 'key_file_path' must be set and not empty",
    ],
    ['a key that it does not know', { cert_file_path: '/c', key_file_path: '/k', ttl: '1h' }, 'ttl'],
  ])('is refused with %s', (_, data, message) => {
    expect(() => check(data as Record<string, string>)).toThrow(message);
  });
});
