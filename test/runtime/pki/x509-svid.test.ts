// Verification of X509-SVIDs (X509-SVID §4 and §5): the leaf's own rules, then the path.
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { element, sequence } from '../../../runtime/pki/der/writer.ts';
import { PkiError } from '../../../runtime/pki/errors.ts';
import type { PkiErrorCode } from '../../../runtime/pki/errors.ts';
import { verifyX509Svid } from '../../../runtime/pki/x509-svid.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { caConstraints, forge, intermediateNamed, leafUnder, now, rootNamed, signerNamed } from './forge.ts';
import type { Forgery } from './forge.ts';
import { mutationsOf } from './mutate.ts';
import { expectRefusal } from './refusal.ts';

const trustDomain = parseTrustDomain('td.test');
const root = rootNamed('root');
const middle = intermediateNamed('middle', root);
const leaf = leafUnder(middle);
const chain = [leaf.der, middle.certificate.der];
const roots = [root.certificate.der];

const weakKey = Uint8Array.from(
  generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ type: 'spki', format: 'der' }),
);

const withLeaf = (forgery: Forgery) => () =>
  verifyX509Svid({ chain: [leafUnder(middle, forgery).der, middle.certificate.der], roots, now, trustDomain });

describe('an X509-SVID', () => {
  test('says whose it is', () => {
    const verified = verifyX509Svid({ chain, roots, now, trustDomain });
    expect(verified.id.toString()).toBe('spiffe://td.test/workload');
    expect(verified.leaf.der).toEqual(leaf.der);
    expect(verified.chain.map(({ der }) => der)).toEqual([...chain, ...roots]);
  });

  test('is verified with roots that are read already', () => {
    expect(verifyX509Svid({ chain, roots: [root.certificate], now }).id.path).toBe('/workload');
  });

  test('may have other purposes than TLS', () => {
    expect(withLeaf({ extendedKeyUsage: ['1.2.3'] })().id.path).toBe('/workload');
  });

  const twoUris = ['spiffe://td.test/a', 'spiffe://td.test/b'];
  test.each<[string, Forgery, PkiErrorCode, string]>([
    ['with a weak key', { spki: weakKey }, 'PUBLIC_KEY', 'RSA key of 1024 bits'],
    ['without a URI name', { uris: [] }, 'LEAF_URI_COUNT', 'leaf has 0 URI names, want 1'],
    ['with two URI names', { uris: twoUris }, 'LEAF_URI_COUNT', 'leaf has 2 URI names, want 1'],
    [
      'with its ID as DNS name',
      { uris: [], dnsNames: ['spiffe://td.test/a'] },
      'LEAF_URI_COUNT',
      'leaf has 0 URI names',
    ],
    ['with another scheme', { uris: ['https://td.test/a'] }, 'LEAF_ID', 'scheme is missing or invalid'],
    ['with an upper-case scheme', { uris: ['SPIFFE://td.test/a'] }, 'LEAF_ID', 'scheme is missing or invalid'],
    ['with dot segments', { uris: ['spiffe://td.test/a/../b'] }, 'LEAF_ID', 'path cannot contain dot segments'],
    ['with percent signs', { uris: ['spiffe://td.test/a/%2e%2e/b'] }, 'LEAF_ID', 'path segment characters'],
    ['with a trailing slash', { uris: ['spiffe://td.test/a/'] }, 'LEAF_ID', 'trailing slash'],
    ['with a port', { uris: ['spiffe://td.test:80/a'] }, 'LEAF_ID', 'trust domain characters'],
    ['with a query', { uris: ['spiffe://td.test/a?b'] }, 'LEAF_ID', 'path segment characters'],
    ["with the trust domain's ID", { uris: ['spiffe://td.test'] }, 'LEAF_PATH', 'ID of the trust domain itself'],
    [
      'of another trust domain',
      { uris: ['spiffe://other.test/a'] },
      'TRUST_DOMAIN',
      'spiffe://other.test/a is not of trust domain td.test',
    ],
    ['with the CA flag', { basicConstraints: caConstraints() }, 'LEAF_IS_CA', 'leaf has the CA flag'],
    [
      'that may sign certificates',
      { keyUsage: ['digitalSignature', 'certSign'] },
      'LEAF_CERT_SIGN',
      'leaf may sign certificates',
    ],
    [
      'that may sign revocation lists',
      { keyUsage: ['digitalSignature', 'crlSign'] },
      'LEAF_CRL_SIGN',
      'leaf may sign revocation lists',
    ],
    ['without key usage', { keyUsage: undefined }, 'LEAF_KEY_USAGE', 'leaf may not make signatures'],
    ['that may not sign', { keyUsage: ['keyAgreement'] }, 'LEAF_KEY_USAGE', 'leaf may not make signatures'],
    ['with a key usage that is not critical', { keyUsageCritical: false }, 'LEAF_KEY_USAGE', 'not critical'],
    ['that has expired', { notAfter: now - 1000 }, 'EXPIRED', 'leaf "CN=leaf" expired'],
    ['that is not valid yet', { notBefore: now + 1000 }, 'NOT_YET_VALID', 'leaf "CN=leaf"'],
    [
      'with a NUL in its ID',
      { names: sequence(element(0x86, Buffer.from('spiffe://td.test/a\0'))) },
      'CERTIFICATE',
      'the byte 0x0',
    ],
  ])('is refused %s', (_, forgery, code, message) => {
    expectRefusal(withLeaf(forgery), code, message);
  });

  test('is refused when it signed itself', () => {
    const der = forge(signerNamed('self'), {
      uris: ['spiffe://td.test/workload'],
      keyUsage: ['digitalSignature'],
      subject: { commonName: 'self' },
    });
    expectRefusal(() => verifyX509Svid({ chain: [der], roots, now }), 'UNKNOWN_AUTHORITY');
    expectRefusal(() => verifyX509Svid({ chain: [der], roots: [der], now }), 'NOT_A_CA');
  });

  test('is refused under the authority of another trust domain', () => {
    expectRefusal(() => verifyX509Svid({ chain, roots: [rootNamed('foreign').certificate], now }), 'UNKNOWN_AUTHORITY');
  });

  test('is refused without authorities', () => {
    expectRefusal(
      () => verifyX509Svid({ chain, roots: [], now }),
      'UNKNOWN_AUTHORITY',
      'no authority is called "CN=root"',
    );
  });

  test('is refused when a CA is shown in its place', () => {
    const ca = intermediateNamed('middle', root, { uris: ['spiffe://td.test/workload'] }).certificate.der;
    expectRefusal(() => verifyX509Svid({ chain: [ca], roots, now }), 'LEAF_IS_CA');
  });

  test.each<[string, Uint8Array[], PkiErrorCode]>([
    ['an empty chain', [], 'CHAIN_EMPTY'],
    ['17 certificates', new Array<Uint8Array>(17).fill(leaf.der), 'CHAIN_TOO_LONG'],
    ['a chain without its intermediate', [leaf.der], 'UNKNOWN_AUTHORITY'],
    ['a chain in the wrong order', [middle.certificate.der, leaf.der], 'LEAF_URI_COUNT'],
    ['a chain in one piece', [Uint8Array.of(...leaf.der, ...middle.certificate.der)], 'CERTIFICATE'],
    ['a chain with rubbish in it', [leaf.der, Uint8Array.of(1, 2, 3)], 'CERTIFICATE'],
  ])('is refused: %s', (_, certificates, code) => {
    expectRefusal(() => verifyX509Svid({ chain: certificates, roots, now }), code);
  });

  test('is refused with any byte of its intermediate changed', () => {
    const accepted: string[] = [];
    for (const der of mutationsOf(parseCertificate(middle.certificate.der).der)) {
      try {
        verifyX509Svid({ chain: [leaf.der, der], roots, now, trustDomain });
        accepted.push(Buffer.from(der).toString('hex'));
      } catch (error) {
        if (!(error instanceof PkiError)) throw error;
      }
    }
    expect(accepted).toEqual([]);
  });
});
