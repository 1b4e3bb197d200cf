// What a server issues, field by field as SPIRE's profiles have it, and what it refuses to issue.
import { describe, expect, test } from 'vitest';
import { serialDecimal, subjectText, parseCertificate } from '../../../runtime/pki/certificate.ts';
import type { Certificate } from '../../../runtime/pki/certificate.ts';
import { encodeName } from '../../../runtime/pki/distinguished-name.ts';
import { issueDownstreamCa, issueSelfSignedCa, issueX509Svid } from '../../../runtime/pki/issue.ts';
import type { Issuer, X509SvidInput } from '../../../runtime/pki/issue.ts';
import { generateKeyPairSync, keyTypes } from '../../../runtime/pki/key-type.ts';
import { subjectKeyIdOf } from '../../../runtime/pki/key-id.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { encodePublicKey } from '../../../runtime/pki/public-key.ts';
import { createSerialNumber } from '../../../runtime/pki/serial-number.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { hour, leafUnder, now, rootNamed, signerNamed } from './forge.ts';
import { hasOpenssl, openssl } from './openssl.ts';
import { expectRefusal } from './refusal.ts';

const trustDomainId = parseSpiffeId('spiffe://td.test');
const workloadId = parseSpiffeId('spiffe://td.test/workload');
const validity = { notBefore: now - 10_000, notAfter: now + hour };
const caValidity = { notBefore: now - 10_000, notAfter: now + 24 * hour };
const serialNumber = Uint8Array.from(Buffer.from('00112233445566778899aabbccddeeff', 'hex'));

const rootSigner = signerNamed('issuing root');
const root = issueSelfSignedCa({
  signer: rootSigner,
  subject: { country: ['US'], organization: ['SPIFFE'] },
  spiffeId: trustDomainId,
  serialNumber,
  ...caValidity,
});
const issuer: Issuer = { certificate: root, signer: rootSigner };
const { publicKey } = signerNamed('subject');

const svid = (changes: Partial<X509SvidInput> = {}): Certificate =>
  issueX509Svid({ issuer, publicKey, spiffeId: workloadId, ...validity, ...changes });

/** Everything but keys and signatures, in words. */
function profileOf(certificate: Certificate): object {
  const { version, signatureAlgorithm, isCa, pathLength, uris, dnsNames, extendedKeyUsage, keyUsage, extensions } =
    certificate;
  return {
    version,
    signatureAlgorithm,
    subject: subjectText(certificate),
    isCa,
    pathLength,
    uris,
    dnsNames,
    extendedKeyUsage,
    keyUsage: Object.entries(keyUsage).flatMap(([name, value]) => (value ? [name] : [])),
    extensions: extensions.map(({ oid, critical }) => (critical ? `${oid} critical` : oid)),
  };
}

describe('a self-signed CA', () => {
  test('has the profile of a SPIRE server', () => {
    expect(profileOf(root)).toEqual({
      version: 3,
      signatureAlgorithm: 'ecdsa-sha256',
      subject: 'SERIALNUMBER=88962710306127702866241727433142015,O=SPIFFE,C=US',
      isCa: true,
      pathLength: undefined,
      uris: ['spiffe://td.test'],
      dnsNames: [],
      extendedKeyUsage: undefined,
      keyUsage: ['certSign', 'crlSign', 'present', 'critical'],
      extensions: ['2.5.29.15 critical', '2.5.29.19 critical', '2.5.29.14', '2.5.29.17'],
    });
    expect(serialDecimal(root)).toBe('88962710306127702866241727433142015');
    expect(root.issuer).toEqual(root.subject);
    expect(root.subjectKeyId).toEqual(subjectKeyIdOf(encodePublicKey(rootSigner.publicKey)));
  });

  test('is refused for an ID with a path', () => {
    const call = () => issueSelfSignedCa({ signer: rootSigner, subject: {}, spiffeId: workloadId, ...validity });
    expectRefusal(call, 'PROFILE', 'CA for spiffe://td.test/workload, want an ID without a path');
  });

  test.each([
    ['zero', [0]],
    ['17 bytes', [1, ...new Array<number>(17).fill(0)]],
  ])('is refused with a serial number of %s', (_, bytes) => {
    const own = {
      signer: rootSigner,
      subject: {},
      spiffeId: trustDomainId,
      serialNumber: Uint8Array.from(bytes),
      ...validity,
    };
    expectRefusal(() => issueSelfSignedCa(own), 'PROFILE', /serial number/);
  });
});

describe('a downstream CA', () => {
  const liar = { ...rootSigner, sign: (data: Uint8Array) => rootSigner.sign(Uint8Array.of(...data, 0)) };
  const downstream = (changes: object = {}): Certificate =>
    issueDownstreamCa({ issuer, publicKey, spiffeId: trustDomainId, ...validity, ...changes });

  test('has the profile of a SPIRE server', () => {
    expect(profileOf(downstream())).toEqual({
      ...profileOf(root),
      subject: 'SERIALNUMBER=88962710306127702866241727433142015,OU=DOWNSTREAM-1,O=SPIFFE,C=US',
      extensions: ['2.5.29.15 critical', '2.5.29.19 critical', '2.5.29.14', '2.5.29.35', '2.5.29.17'],
    });
    expect(downstream().authorityKeyId).toEqual(root.subjectKeyId);
  });

  test('names how far down it is, or what it is told to', () => {
    expect(subjectText(downstream({ issuerChainLength: 2 }))).toContain('OU=DOWNSTREAM-2');
    expect(subjectText(downstream({ subject: { commonName: 'x' } }))).toBe('CN=x');
  });

  test.each([
    ['an ID with a path', { spiffeId: workloadId }, 'PROFILE', 'want an ID without a path'],
    [
      'another trust domain',
      { spiffeId: parseSpiffeId('spiffe://other.test') },
      'TRUST_DOMAIN',
      'want spiffe://other.test',
    ],
    ['an empty subject', { subject: {} }, 'PROFILE', 'X.509 CA would have an empty subject'],
    ['a longer life than its issuer', { notAfter: now + 25 * hour }, 'PROFILE', 'X.509 CA would outlive its issuer'],
    [
      'a signer that signs other bytes',
      { issuer: { certificate: root, signer: liar } },
      'ISSUER',
      'bad signature for a X.509 CA',
    ],
  ] as const)('is refused for %s', (_, changes, code, message) => {
    expectRefusal(() => downstream(changes), code, message);
  });
});

describe('an X509-SVID', () => {
  test('has the profile of a SPIRE server', () => {
    expect(profileOf(svid())).toEqual({
      version: 3,
      signatureAlgorithm: 'ecdsa-sha256',
      subject: 'O=SPIRE,C=US',
      isCa: false,
      pathLength: undefined,
      uris: ['spiffe://td.test/workload'],
      dnsNames: [],
      extendedKeyUsage: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      keyUsage: ['digitalSignature', 'keyEncipherment', 'keyAgreement', 'present', 'critical'],
      extensions: ['2.5.29.15 critical', '2.5.29.37', '2.5.29.19 critical', '2.5.29.14', '2.5.29.35', '2.5.29.17'],
    });
    expect(svid()).toMatchObject({ ...validity, issuer: root.subject, authorityKeyId: root.subjectKeyId });
  });

  test('reads back as it was returned', () => {
    const issued = svid({ dnsNames: ['a.test'] });
    expect({ ...issued, publicKey: undefined }).toEqual({ ...parseCertificate(issued.der), publicKey: undefined });
    expect(issued.publicKey.equals(publicKey)).toBe(true);
  });

  test('has its first DNS name as common name', () => {
    expect(profileOf(svid({ dnsNames: ['a.test', 'b.test'] }))).toMatchObject({
      subject: 'CN=a.test,O=SPIRE,C=US',
      dnsNames: ['a.test', 'b.test'],
    });
  });

  test.each([
    ['fields', { organization: 'X' }, 'O=X'],
    ["a request's name", encodeName({ organization: 'X', commonName: 'y' }), 'CN=y,O=X'],
    ["a request's empty name", encodeName({}), 'O=SPIRE,C=US'],
    ['no fields', {}, 'O=SPIRE,C=US'],
  ])('has a subject from %s', (_, subject, text) => {
    expect(subjectText(svid({ subject }))).toBe(text);
  });

  test('keeps a subject from a request when DNS names give the common name', () => {
    const subject = encodeName({ organization: 'X', commonName: 'y' });
    expect(subjectText(svid({ subject, dnsNames: ['a.test'] }))).toBe('CN=a.test,O=X');
  });

  test('drops the fractions of a second', () => {
    expect(svid({ notBefore: now + 1, notAfter: now + 5999 })).toMatchObject({ notBefore: now, notAfter: now + 5000 });
  });

  test.each(keyTypes)('can be issued with and for a key of type %s', (type) => {
    const signer = signerOf(generateKeyPairSync(type).privateKey);
    const certificate = issueSelfSignedCa({ signer, subject: {}, spiffeId: trustDomainId, ...caValidity });
    expect(svid({ issuer: { certificate, signer }, publicKey: signer.publicKey }).uris).toEqual([
      'spiffe://td.test/workload',
    ]);
  });

  const plainRoot = rootNamed('plain');
  test.each<[string, Partial<X509SvidInput>, string, string]>([
    ['the trust domain itself', { spiffeId: trustDomainId }, 'PROFILE', 'X509-SVID for the trust domain itself'],
    [
      'another trust domain',
      { spiffeId: parseSpiffeId('spiffe://other.test/x') },
      'TRUST_DOMAIN',
      'CA certificate is of spiffe://td.test',
    ],
    ['a time beyond its issuer', { notAfter: now + 24 * hour + 1000 }, 'PROFILE', 'would outlive its issuer'],
    ['no time at all', { notAfter: validity.notBefore }, 'PROFILE', 'an end that is not after its start'],
    ['a DNS name with a space', { dnsNames: ['a b'] }, 'PROFILE', 'is empty or not printable ASCII'],
    ['an empty DNS name', { dnsNames: [''] }, 'PROFILE', 'is empty or not printable ASCII'],
    ['a subject that is no name', { subject: Uint8Array.of(1, 2, 3) }, 'DER', ''],
    [
      'an issuer without the CA flag',
      { issuer: { certificate: leafUnder(plainRoot), signer: signerNamed('leaf') } },
      'NOT_A_CA',
      '',
    ],
    [
      'an issuer that may not sign',
      { issuer: rootNamed('crl', { keyUsage: ['crlSign'] }) },
      'CERT_SIGN',
      'may not sign certificates',
    ],
    [
      'an issuer with other uses',
      { issuer: rootNamed('odd', { keyUsage: ['certSign', 'dataEncipherment'] }) },
      'PROFILE',
      'dataEncipherment',
    ],
    [
      'an issuer with two URI names',
      { issuer: rootNamed('two', { uris: ['spiffe://td.test', 'spiffe://x'] }) },
      'PROFILE',
      '2 URI names',
    ],
    [
      "an issuer and another's key",
      { issuer: { certificate: root, signer: signerNamed('other') } },
      'ISSUER',
      'another key',
    ],
  ])('is refused for %s', (_, changes, code, message) => {
    expectRefusal(() => svid(changes), code as 'PROFILE', message);
  });
});

test('serial numbers are 128 bits wide, never repeat and are never zero', () => {
  const drawn = Array.from({ length: 1000 }, () => Buffer.from(createSerialNumber()).toString('hex'));
  expect(new Set(drawn).size).toBe(1000);
  expect(drawn.filter((hex) => hex.length !== 32 || /^0+$/.test(hex))).toEqual([]);
});

describe.skipIf(!hasOpenssl)('openssl', () => {
  test('verifies an SVID under an intermediate, strictly', () => {
    const signer = signerNamed('middle');
    const certificate = issueDownstreamCa({
      issuer,
      publicKey: signer.publicKey,
      spiffeId: trustDomainId,
      ...validity,
    });
    const leaf = svid({ issuer: { certificate, signer } });
    const files = Object.fromEntries(
      [root, certificate, leaf].map(({ der }, index) => [`${index}.pem`, certificatesToPem([der])]),
    );
    const time = String(now / 1000);
    const { text } = openssl(
      ['verify', '-x509_strict', '-attime', time, '-CAfile', '0.pem', '-untrusted', '1.pem', '2.pem'],
      files,
    );
    expect(text.trim()).toBe('2.pem: OK');
  });
});
