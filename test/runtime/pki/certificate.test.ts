// Reading certificates: what they say, and the encodings that are not certificates.
import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  parseCertificate,
  parseCertificateChain,
  parseTbsCertificate,
  serialDecimal,
  subjectText,
} from '../../../runtime/pki/certificate.ts';
import { decodeName, encodeName } from '../../../runtime/pki/distinguished-name.ts';
import { encodeOid } from '../../../runtime/pki/der/oid.ts';
import {
  bitString,
  boolean,
  element,
  octetString,
  sequence,
  setOf,
  smallInteger,
} from '../../../runtime/pki/der/writer.ts';
import { PkiError } from '../../../runtime/pki/errors.ts';
import { encodeExtension } from '../../../runtime/pki/extensions.ts';
import { encodeSignatureAlgorithm, verifySignature } from '../../../runtime/pki/signature-algorithm.ts';
import { caConstraints, forge, hour, leafUnder, now, rootNamed, signerNamed } from './forge.ts';
import type { Forgery } from './forge.ts';
import { mutationsOf } from './mutate.ts';
import { hasOpenssl, openssl } from './openssl.ts';
import { expectRefusal } from './refusal.ts';
import { parsePem } from '../../../runtime/pki/pem.ts';

const root = rootNamed('root');
const leaf = leafUnder(root, { dnsNames: ['a.test', 'b.test'] });
const parseForged = (forgery: Forgery) => () => parseCertificate(forge(signerNamed('leaf'), forgery, root));
const extension = (oid: string, value: Uint8Array, critical = false): Forgery => ({
  extra: [encodeExtension(oid, critical, value)],
});
const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const basicConstraints = (value: Uint8Array): Forgery => ({ basicConstraints: value });

describe('a certificate', () => {
  test('says what was written into it', () => {
    expect({ ...leaf, publicKey: undefined }).toMatchObject({
      version: 3,
      serialNumber: Uint8Array.of(7),
      signatureAlgorithm: 'ecdsa-sha256',
      issuer: root.certificate.subject,
      notBefore: now - hour,
      notAfter: now + hour,
      isCa: false,
      pathLength: undefined,
      uris: ['spiffe://td.test/workload'],
      dnsNames: ['a.test', 'b.test'],
      extendedKeyUsage: undefined,
      authorityKeyId: root.certificate.subjectKeyId,
    });
    expect(leaf.keyUsage).toMatchObject({ present: true, critical: true, digitalSignature: true, certSign: false });
    expect(leaf.publicKey.equals(signerNamed('leaf').publicKey)).toBe(true);
    expect(subjectText(leaf)).toBe('CN=leaf');
  });

  test('keeps the bytes that its signature covers', () => {
    expect(verifySignature('ecdsa-sha256', root.signer.publicKey, leaf.tbs, leaf.signature)).toBe(true);
    expect(parseTbsCertificate(leaf.tbs).spki).toEqual(leaf.spki);
  });

  test('reads as OpenSSL reads it', () => {
    const other = new X509Certificate(leaf.der);
    expect(other.subjectAltName).toBe('DNS:a.test, DNS:b.test, URI:spiffe://td.test/workload');
    expect(other.validToDate.getTime()).toBe(leaf.notAfter);
    expect(BigInt(`0x${other.serialNumber}`).toString()).toBe(serialDecimal(leaf));
    expect(other.verify(root.signer.publicKey)).toBe(true);
  });

  test('without a supported signature algorithm can be read, so that such a root can be listed', () => {
    const sha1 = sequence(encodeOid('1.2.840.10045.4.1'));
    const fields = [leaf.tbs, sha1, bitString(leaf.signature)] as const;
    expectRefusal(() => parseCertificate(sequence(...fields)), 'CERTIFICATE', 'the two signature algorithms differ');
  });

  test.each([
    ['nothing', new Uint8Array(0)],
    ['text', ascii('-----BEGIN CERTIFICATE-----')],
    ['an empty sequence', sequence()],
    ['two certificates', Uint8Array.of(...leaf.der, ...leaf.der)],
    [
      'a fourth field',
      sequence(leaf.tbs, encodeSignatureAlgorithm('ecdsa-sha256'), bitString(leaf.signature), smallInteger(1)),
    ],
    [
      'a signature of broken bytes',
      sequence(leaf.tbs, encodeSignatureAlgorithm('ecdsa-sha256'), element(0x03, Uint8Array.of(1, 2))),
    ],
    ['a set', element(0x31, leaf.der.subarray(4))],
  ])('is refused: %s', (_, der) => {
    expectRefusal(() => parseCertificate(der), 'CERTIFICATE');
  });

  const subjectAltName = '2.5.29.17';
  test.each<[string, Forgery, string | RegExp]>([
    ['version 4', { version: 4 }, 'version 4 is unknown'],
    [
      'another algorithm inside',
      { innerAlgorithm: encodeSignatureAlgorithm('ecdsa-sha384') },
      'the two signature algorithms differ',
    ],
    [
      'the same extension twice',
      extension('2.5.29.14', octetString(ascii('again'))),
      'extension 2.5.29.14 occurs twice',
    ],
    [
      '65 extensions',
      { extra: Array.from({ length: 65 }, (_, i) => encodeExtension(`1.2.3.${i}`, false, smallInteger(i))) },
      'more than 64',
    ],
    [
      'an extension with a fourth field',
      { extra: [sequence(encodeOid('1.2.3'), octetString(ascii('')), boolean(true))] },
      'not decode',
    ],
    ['an empty alternative name', extension(subjectAltName, sequence()), 'is empty'],
    [
      'a URI with a NUL',
      extension(subjectAltName, sequence(element(0x86, ascii('spiffe://td.test/a\0b')))),
      'the byte 0x0',
    ],
    [
      'a URI with UTF-8',
      extension(subjectAltName, sequence(element(0x86, Buffer.from('spiffe://td.test/ä')))),
      'the byte 0xc3',
    ],
    ['a DNS name with a line break', extension(subjectAltName, sequence(element(0x82, ascii('a\nb')))), 'the byte 0xa'],
    [
      'an IP address of five bytes',
      extension(subjectAltName, sequence(element(0x87, ascii('12345')))),
      'IP address of 5 bytes',
    ],
    ['a directory name that is none', extension(subjectAltName, sequence(element(0xa4, ascii('x')))), 'not decode'],
    [
      'a general name of an unknown kind',
      extension(subjectAltName, sequence(element(0x89, ascii('x')))),
      'general name with tag 0x89',
    ],
    ['a CA flag of 1', basicConstraints(sequence(element(0x01, Uint8Array.of(1)))), 'boolean'],
    [
      'a path length without the CA flag',
      basicConstraints(sequence(smallInteger(0))),
      'path length without the CA flag',
    ],
    [
      'a negative path length',
      basicConstraints(sequence(boolean(true), element(0x02, Uint8Array.of(0xff)))),
      'negative',
    ],
    [
      'a path length beyond 32 bits',
      basicConstraints(sequence(boolean(true), element(0x02, new Uint8Array(9).fill(1)))),
      'too large',
    ],
    ['an empty key usage', { keyUsage: [] }, 'key usage allows nothing'],
    ['an empty extended key usage', { extendedKeyUsage: [] }, 'extended key usage is empty'],
  ])('is refused: %s', (_, forgery, message) => {
    expectRefusal(parseForged(forgery), 'CERTIFICATE', message);
  });

  test('is refused: a key identifier of 65 bytes', () => {
    const forgery = extension('2.5.29.35', sequence(element(0x80, new Uint8Array(65))));
    expectRefusal(
      () => parseCertificate(forge(signerNamed('self'), forgery)),
      'CERTIFICATE',
      'key identifier of 65 bytes',
    );
  });

  test('is refused: version 2 with extensions', () => {
    const hex = Buffer.from(leaf.der).toString('hex').replace('a003020102', 'a003020101');
    expectRefusal(
      () => parseCertificate(Buffer.from(hex, 'hex')),
      'CERTIFICATE',
      'extensions in a certificate of version 2',
    );
  });

  test('of version 1 can be read and is no CA', () => {
    const old = parseCertificate(forge(signerNamed('old'), { version: 1 }));
    expect([old.version, old.isCa, old.extensions.length]).toEqual([1, false, 0]);
  });

  test('with a key that we would not use is refused when the key is asked for', () => {
    const spki = sequence(sequence(encodeOid('1.2.3')), bitString(ascii('x')));
    const certificate = parseCertificate(forge(signerNamed('leaf'), { spki }, root));
    expectRefusal(() => certificate.publicKey, 'PUBLIC_KEY', 'public key algorithm 1.2.3 is not supported');
  });

  test('with any byte changed or cut off is refused by name, or its signature is', () => {
    const accepted: string[] = [];
    for (const der of mutationsOf(leaf.der)) {
      try {
        const { signatureAlgorithm, tbs, signature } = parseCertificate(der);
        const holds =
          signatureAlgorithm !== undefined &&
          verifySignature(signatureAlgorithm, root.signer.publicKey, tbs, signature);
        if (holds) accepted.push(Buffer.from(der).toString('hex'));
      } catch (error) {
        if (!(error instanceof PkiError)) throw error;
      }
    }
    expect(accepted).toEqual([]);
  });
});

describe('a chain in one piece', () => {
  test('is read in order', () => {
    const chain = parseCertificateChain(Uint8Array.of(...leaf.der, ...root.certificate.der));
    expect(chain.map(subjectText)).toEqual(['CN=leaf', 'CN=root']);
    expect(chain.map(({ der }) => der)).toEqual([leaf.der, root.certificate.der]);
  });

  test.each([
    ['nothing', new Uint8Array(0), 'chain is empty'],
    ['a certificate and a byte', Uint8Array.of(...leaf.der, 0x30), /not decode/],
  ])('is refused: %s', (_, der, message) => {
    expectRefusal(() => parseCertificateChain(der), 'CERTIFICATE', message);
  });
});

describe('a name', () => {
  test('is written in the order of Go and printed the other way round', () => {
    const subject = encodeName({ serialNumber: '12', commonName: 'a+b', organization: ['X', 'Y, Z'], country: 'US' });
    expect(subjectText({ subject })).toBe('SERIALNUMBER=12,CN=a\\+b,O=X+O=Y\\, Z,C=US');
    expect(decodeName(subject)).toEqual({
      country: ['US'],
      organization: ['X', 'Y, Z'],
      commonName: ['a+b'],
      serialNumber: ['12'],
    });
  });

  test('keeps text beyond ASCII', () => {
    expect(subjectText({ subject: encodeName({ organization: 'Österreich*' }) })).toBe('O=Österreich*');
  });

  test('shows attributes that it does not know as bytes', () => {
    const subject = sequence(setOf(sequence(encodeOid('1.2.3'), octetString(ascii('x')))));
    expect(subjectText({ subject })).toBe('1.2.3=#040178');
    expect(decodeName(subject)).toEqual({});
  });

  test.each([
    ['a set without attributes', sequence(setOf())],
    [
      'an attribute with three parts',
      sequence(setOf(sequence(encodeOid('2.5.4.3'), smallInteger(1), smallInteger(2)))),
    ],
    ['an attribute without a value', sequence(setOf(sequence(encodeOid('2.5.4.3'))))],
  ])('is refused: %s', (_, subject) => {
    expectRefusal(() => subjectText({ subject }), 'DER');
  });
});

describe('a serial number', () => {
  test.each([
    ['00ff', '255'],
    ['80', '-128'],
    ['00ffffffffffffffffffffffffffffffff', '340282366920938463463374607431768211455'],
  ])('%s is %s', (hex, decimal) => {
    expect(serialDecimal({ serialNumber: Uint8Array.from(Buffer.from(hex, 'hex')) })).toBe(decimal);
  });
});

describe.skipIf(!hasOpenssl)('a certificate made by openssl', () => {
  test.each([
    ['EC', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], 'ecdsa-sha256'],
    ['RSA', ['-newkey', 'rsa:2048', '-sha512'], 'rsa-sha512'],
    [
      'RSA-PSS signature',
      ['-newkey', 'rsa:2048', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'],
      'rsa-pss-sha256',
    ],
    ['Ed25519', ['-newkey', 'ed25519'], 'ed25519'],
  ])('is read and its signature verified: %s', (_, args, algorithm) => {
    const names = 'subjectAltName=URI:spiffe://td.test,DNS:a.test,IP:10.0.0.1,email:a@b.test,dirName:d';
    const config = '[req]\ndistinguished_name=n\n[n]\n[d]\nCN=inside\n';
    const made = openssl(
      [
        'req',
        '-x509',
        '-config',
        'c',
        '-nodes',
        '-keyout',
        'k',
        '-subj',
        '/C=US/O=SPIFFE/CN=x',
        '-addext',
        names,
        '-addext',
        'basicConstraints=critical,CA:TRUE,pathlen:1',
        ...args,
      ],
      { c: config },
    );
    const der = parsePem(made.text).find(({ label }) => label === 'CERTIFICATE')!.der;
    const certificate = parseCertificate(der);
    expect(certificate).toMatchObject({
      signatureAlgorithm: algorithm,
      isCa: true,
      pathLength: 1,
      uris: ['spiffe://td.test'],
    });
    expect(certificate.names).toMatchObject({ emails: ['a@b.test'], ipAddresses: [Uint8Array.of(10, 0, 0, 1)] });
    expect(subjectText(certificate)).toBe('CN=x,O=SPIFFE,C=US');
    const { tbs, publicKey, signature, signatureAlgorithm } = certificate;
    expect(verifySignature(signatureAlgorithm!, publicKey, tbs, signature)).toBe(true);
  });

  test('signed with SHA-1 is read, and its algorithm is not one of ours', () => {
    const made = openssl(['req', '-x509', '-newkey', 'rsa:2048', '-sha1', '-nodes', '-keyout', 'k', '-subj', '/CN=x']);
    const der = parsePem(made.text).find(({ label }) => label === 'CERTIFICATE')!.der;
    expect(parseCertificate(der).signatureAlgorithm).toBeUndefined();
  });
});

test('a CA says how far it reaches', () => {
  const far = rootNamed('far', { basicConstraints: caConstraints(3) });
  expect([far.certificate.isCa, far.certificate.pathLength]).toEqual([true, 3]);
});
