// Certificate requests: what is read from one, and whose are refused.
import { describe, expect, test } from 'vitest';
import { createCsr, parseCsr } from '../../../runtime/pki/csr.ts';
import { subjectText } from '../../../runtime/pki/certificate.ts';
import { encodeOid } from '../../../runtime/pki/der/oid.ts';
import { bitString, element, sequence, setOf, smallInteger } from '../../../runtime/pki/der/writer.ts';
import type { DerPart } from '../../../runtime/pki/der/writer.ts';
import { encodeName } from '../../../runtime/pki/distinguished-name.ts';
import { PkiError } from '../../../runtime/pki/errors.ts';
import { encodeExtension } from '../../../runtime/pki/extensions.ts';
import { encodeGeneralNames } from '../../../runtime/pki/general-names.ts';
import { generateKeyPairSync, keyTypes } from '../../../runtime/pki/key-type.ts';
import { extensionOids, extensionRequestOid } from '../../../runtime/pki/oids.ts';
import { encodePem, parsePem } from '../../../runtime/pki/pem.ts';
import { encodePublicKey } from '../../../runtime/pki/public-key.ts';
import { encodeSignatureAlgorithm } from '../../../runtime/pki/signature-algorithm.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import type { Signer } from '../../../runtime/pki/signer.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { signerNamed } from './forge.ts';
import { mutationsOf } from './mutate.ts';
import { hasOpenssl, openssl } from './openssl.ts';
import { expectRefusal } from './refusal.ts';

const spiffeId = parseSpiffeId('spiffe://td.test/workload');
const signer = signerNamed('requester');
const csr = createCsr({ signer, spiffeId, dnsNames: ['a.test'] });

interface Forged {
  readonly signer?: Signer;
  readonly version?: number;
  readonly spki?: Uint8Array;
  readonly attributes?: readonly Uint8Array[];
  readonly after?: readonly Uint8Array[];
  readonly algorithm?: Uint8Array;
}

/** A request with one thing wrong, signed all the same. */
function forgeCsr({ version = 0, attributes = [], after = [], ...forged }: Forged): Uint8Array {
  const spki = forged.spki ?? encodePublicKey(signer.publicKey);
  const info = sequence(
    smallInteger(version),
    encodeName({ commonName: 'x' }),
    spki,
    element(0xa0, ...attributes),
    ...after,
  );
  const algorithm = forged.algorithm ?? encodeSignatureAlgorithm('ecdsa-sha256');
  return sequence(info, algorithm, bitString((forged.signer ?? signer).sign(info)));
}

const alternative = encodeExtension(
  extensionOids.subjectAltName,
  false,
  encodeGeneralNames({ dnsNames: [], uris: ['a:b'] }),
);
const requestOf = (...extensions: DerPart[]): Uint8Array =>
  sequence(encodeOid(extensionRequestOid), setOf(sequence(...extensions)));

describe('a request', () => {
  test('says what was written into it', () => {
    const read = parseCsr(csr);
    expect(read).toMatchObject({ der: csr, uris: ['spiffe://td.test/workload'], dnsNames: ['a.test'] });
    expect(subjectText(read)).toBe('O=SPIRE,C=US');
    expect(read.publicKey.equals(signer.publicKey)).toBe(true);
    expect(read.verifySignature()).toBe(true);
  });

  test('of an agent has no alternative name', () => {
    expect(parseCsr(createCsr({ signer }))).toMatchObject({ uris: [], dnsNames: [] });
  });

  test('may have a common name, or another subject', () => {
    expect(subjectText(parseCsr(createCsr({ signer, commonName: 'a' })))).toBe('CN=a,O=SPIRE,C=US');
    expect(subjectText(parseCsr(createCsr({ signer, subject: { organization: 'X' } })))).toBe('O=X');
  });

  test.each(keyTypes)('can be made with a key of type %s', (type) => {
    const own = signerOf(generateKeyPairSync(type).privateKey);
    expect(parseCsr(createCsr({ signer: own, spiffeId })).publicKey.equals(own.publicKey)).toBe(true);
  });

  test('may have attributes and extensions that we do not know, the CA flag among them', () => {
    const caFlag = encodeExtension(extensionOids.basicConstraints, true, sequence(Uint8Array.of(1, 1, 0xff)));
    const challengePassword = sequence(encodeOid('1.2.840.113549.1.9.7'), setOf(encodeName({})));
    const read = parseCsr(forgeCsr({ attributes: [challengePassword, requestOf(caFlag, alternative)] }));
    expect(read.uris).toEqual(['a:b']);
  });

  test('is refused when another key signed it', () => {
    expectRefusal(() => parseCsr(forgeCsr({ signer: signerNamed('other') })), 'CSR_SIGNATURE', 'not signed by the key');
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['an empty sequence', sequence()],
    ['version 2', forgeCsr({ version: 1 })],
    ['two requests for extensions', forgeCsr({ attributes: [requestOf(alternative), requestOf(alternative)] })],
    ['the same extension twice', forgeCsr({ attributes: [requestOf(alternative, alternative)] })],
    ['a request for no extensions', forgeCsr({ attributes: [requestOf()] })],
    [
      'two sets of extensions',
      forgeCsr({
        attributes: [sequence(encodeOid(extensionRequestOid), setOf(sequence(alternative), sequence(alternative)))],
      }),
    ],
    ['an attribute that is a number', forgeCsr({ attributes: [smallInteger(1)] })],
    ['something after the attributes', forgeCsr({ after: [smallInteger(1)] })],
    [
      'a URI name with a control character',
      forgeCsr({
        attributes: [
          requestOf(encodeExtension(extensionOids.subjectAltName, false, sequence(element(0x86, Uint8Array.of(0x1f))))),
        ],
      }),
    ],
    ['a byte after it', Uint8Array.of(...csr, 0)],
    ['a set', element(0x31, csr.subarray(4))],
  ])('is refused: %s', (_, der) => {
    expectRefusal(() => parseCsr(der), 'CSR');
  });

  test('is refused with a key on another curve', () => {
    const spki = sequence(
      sequence(encodeOid('1.2.840.10045.2.1'), encodeOid('1.3.132.0.10')),
      bitString(new Uint8Array(65).fill(4)),
    );
    expectRefusal(() => parseCsr(forgeCsr({ spki })), 'PUBLIC_KEY', 'curve 1.3.132.0.10 is not P-256, P-384 or P-521');
  });

  test('is refused when it is signed with SHA-1', () => {
    expectRefusal(
      () => parseCsr(forgeCsr({ algorithm: sequence(encodeOid('1.2.840.10045.4.1')) })),
      'SIGNATURE_ALGORITHM',
    );
  });

  test('with any byte changed or cut off is refused by name', () => {
    const accepted: string[] = [];
    for (const der of mutationsOf(csr)) {
      try {
        parseCsr(der);
        accepted.push(Buffer.from(der).toString('hex'));
      } catch (error) {
        if (!(error instanceof PkiError)) throw error;
      }
    }
    expect(accepted).toEqual([]);
  });

  test('cannot be made with a DNS name that is not ASCII', () => {
    expectRefusal(() => createCsr({ signer, dnsNames: ['ä.test'] }), 'PROFILE', 'is empty or not printable ASCII');
  });
});

describe.skipIf(!hasOpenssl)('openssl', () => {
  test('verifies our request', () => {
    const { ok, text } = openssl(['req', '-in', 'r.pem', '-noout', '-verify', '-text'], {
      'r.pem': encodePem('CERTIFICATE REQUEST', csr),
    });
    expect(ok).toBe(true);
    expect(text).toContain('self-signature verify OK');
    expect(text).toContain('DNS:a.test, URI:spiffe://td.test/workload');
  });

  test('makes a request that we read', () => {
    const made = openssl([
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'k',
      '-subj',
      '/O=X/CN=y',
      '-addext',
      'subjectAltName=URI:spiffe://td.test/x',
    ]);
    const der = parsePem(made.text).find(({ label }) => label === 'CERTIFICATE REQUEST')!.der;
    const read = parseCsr(der);
    expect([read.uris, subjectText(read)]).toEqual([['spiffe://td.test/x'], 'CN=y,O=X']);
  });
});
