// The path validator: one refusal for each rule of RFC 5280 §6.1 that SPIFFE needs, and searches that a hostile chain cannot prolong.
import { describe, expect, test } from 'vitest';
import { parseCertificate, subjectText } from '../../../runtime/pki/certificate.ts';
import type { Certificate } from '../../../runtime/pki/certificate.ts';
import { encodeOid } from '../../../runtime/pki/der/oid.ts';
import { DerReader } from '../../../runtime/pki/der/reader.ts';
import { tags } from '../../../runtime/pki/der/tags.ts';
import { bitString, octetString, sequence, smallInteger } from '../../../runtime/pki/der/writer.ts';
import type { PkiErrorCode } from '../../../runtime/pki/errors.ts';
import { encodeAuthorityKeyId, encodeExtension } from '../../../runtime/pki/extensions.ts';
import { purposeOids } from '../../../runtime/pki/oids.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { verifyChain } from '../../../runtime/pki/verify-chain.ts';
import type { ChainInput, Usage } from '../../../runtime/pki/verify-chain.ts';
import { caConstraints, forge, hour, intermediateNamed, leafUnder, now, rootNamed, signerNamed } from './forge.ts';
import type { Authority, Forgery } from './forge.ts';
import { mutationsOf } from './mutate.ts';
import { hasOpenssl, openssl } from './openssl.ts';
import { expectRefusal } from './refusal.ts';

const root = rootNamed('root');
const middle = intermediateNamed('middle', root);
const leaf = leafUnder(middle);
const input: ChainInput = { leaf, intermediates: [middle.certificate], roots: [root.certificate], now };

const names = (path: readonly Certificate[]): string[] => path.map(subjectText);

/** A chain of root, intermediate and leaf, one of which is forged. */
function chainWith({
  asRoot = {},
  asMiddle = {},
  asLeaf = {},
}: {
  asRoot?: Forgery;
  asMiddle?: Forgery;
  asLeaf?: Forgery;
}): ChainInput {
  const ownRoot = rootNamed('root', asRoot);
  const ownMiddle = intermediateNamed('middle', ownRoot, asMiddle);
  return {
    leaf: leafUnder(ownMiddle, asLeaf),
    intermediates: [ownMiddle.certificate],
    roots: [ownRoot.certificate],
    now,
  };
}

/** Intermediates below one another, the highest first. */
function ladder(top: Authority, length: number): Authority[] {
  const steps: Authority[] = [];
  for (let index = 0; index < length; index += 1) steps.push(intermediateNamed(`step ${index}`, steps.at(-1) ?? top));
  return steps;
}

describe('a path', () => {
  test('is found from leaf to root', () => {
    expect(names(verifyChain(input))).toEqual(['CN=leaf', 'CN=middle', 'CN=root']);
  });

  test('may have no intermediate', () => {
    expect(names(verifyChain({ leaf: leafUnder(root), intermediates: [], roots: [root.certificate], now }))).toEqual([
      'CN=leaf',
      'CN=root',
    ]);
  });

  test('is found among intermediates in any order, strangers among them', () => {
    const steps = ladder(root, 4);
    const strangers = [intermediateNamed('stranger', rootNamed('strange root')), middle];
    const intermediates = [...strangers, ...steps].map(({ certificate }) => certificate).reverse();
    const path = verifyChain({ leaf: leafUnder(steps[3]!), intermediates, roots: [root.certificate], now });
    expect(names(path)).toEqual(['CN=leaf', 'CN=step 3', 'CN=step 2', 'CN=step 1', 'CN=step 0', 'CN=root']);
  });

  test('is found where two roots share a name', () => {
    const twin: Authority = {
      signer: signerNamed('twin'),
      certificate: rootNamed('twin', { subject: { commonName: 'root' } }).certificate,
    };
    const path = verifyChain({ ...input, roots: [twin.certificate, root.certificate] });
    expect(path.at(-1)).toBe(root.certificate);
  });

  test('is found where an expired intermediate stands beside its renewal', () => {
    const expired = intermediateNamed('middle', root, { notAfter: now - 1000 });
    expect(verifyChain({ ...input, intermediates: [expired.certificate, middle.certificate] })[1]).toBe(
      middle.certificate,
    );
  });

  test('may have eight intermediates', () => {
    const steps = ladder(root, 8);
    const intermediates = steps.map(({ certificate }) => certificate);
    expect(verifyChain({ leaf: leafUnder(steps[7]!), intermediates, roots: [root.certificate], now })).toHaveLength(10);
  });

  test('may have the root among its intermediates', () => {
    expect(verifyChain({ ...input, intermediates: [root.certificate, middle.certificate] })).toHaveLength(3);
  });

  test('holds in the first and the last millisecond of its certificates', () => {
    expect(verifyChain({ ...input, now: leaf.notBefore })).toHaveLength(3);
    expect(verifyChain({ ...input, now: leaf.notAfter })).toHaveLength(3);
  });

  test('may end in a root without key usage, which need not say so', () => {
    expect(verifyChain(chainWith({ asRoot: { keyUsage: undefined } }))).toHaveLength(3);
  });

  test('does not look at the signature of its root', () => {
    const unsigned = parseCertificate(
      root.certificate.der.map((byte, at, all) => (at === all.length - 1 ? byte ^ 1 : byte)),
    );
    expect(verifyChain({ ...input, roots: [unsigned] })).toHaveLength(3);
  });
});

const selfSigned = parseCertificate(
  forge(signerNamed('self'), { subject: { commonName: 'self' }, keyUsage: ['digitalSignature'] }),
);
const unknownCritical: Forgery = { extra: [encodeExtension('1.2.3.4', true, octetString(new Uint8Array(1)))] };
const criticalKeyId: Forgery = {
  extra: [encodeExtension('2.5.29.35', true, encodeAuthorityKeyId(new Uint8Array(20)))],
};
const policyConstraints: Forgery = { extra: [encodeExtension('2.5.29.36', true, sequence(smallInteger(0)))] };

describe('a path is refused', () => {
  test.each<[string, ChainInput, PkiErrorCode, string | RegExp]>([
    [
      'a leaf not valid yet',
      chainWith({ asLeaf: { notBefore: now + 1000 } }),
      'NOT_YET_VALID',
      'leaf "CN=leaf" is not valid before 2026-01-01T12:00:01.000Z',
    ],
    [
      'an expired leaf',
      chainWith({ asLeaf: { notAfter: now - 1000 } }),
      'EXPIRED',
      'leaf "CN=leaf" expired at 2026-01-01T11:59:59.000Z',
    ],
    [
      'an intermediate not valid yet',
      chainWith({ asMiddle: { notBefore: now + 1000 } }),
      'NOT_YET_VALID',
      'intermediate "CN=middle"',
    ],
    [
      'an expired intermediate',
      chainWith({ asMiddle: { notAfter: now - 1000 } }),
      'EXPIRED',
      'intermediate "CN=middle"',
    ],
    ['a root not valid yet', chainWith({ asRoot: { notBefore: now + 1000 } }), 'NOT_YET_VALID', 'root "CN=root"'],
    ['an expired root', chainWith({ asRoot: { notAfter: now - 1000 } }), 'EXPIRED', 'root "CN=root"'],
    [
      'a leaf with an unknown critical extension',
      chainWith({ asLeaf: unknownCritical }),
      'CRITICAL_EXTENSION',
      'leaf "CN=leaf" has the critical extension 1.2.3.4',
    ],
    [
      'an intermediate with one',
      chainWith({ asMiddle: unknownCritical }),
      'CRITICAL_EXTENSION',
      'intermediate "CN=middle"',
    ],
    ['a root with one', chainWith({ asRoot: unknownCritical }), 'CRITICAL_EXTENSION', 'root "CN=root"'],
    ['a critical key identifier', chainWith({ asRoot: criticalKeyId }), 'CRITICAL_EXTENSION', 'key identifier'],
    ['critical policy constraints', chainWith({ asMiddle: policyConstraints }), 'CRITICAL_EXTENSION', '2.5.29.36'],
    ['a leaf of version 1', chainWith({ asLeaf: { version: 1 } }), 'VERSION', 'leaf "CN=leaf" has version 1'],
    ['an intermediate of version 1', chainWith({ asMiddle: { version: 1 } }), 'VERSION', 'intermediate "CN=middle"'],
    ['a root of version 1', chainWith({ asRoot: { version: 1 } }), 'VERSION', 'root "CN=root"'],
    [
      'a leaf with serial number 0',
      chainWith({ asLeaf: { serialNumber: Uint8Array.of(0) } }),
      'SERIAL_NUMBER',
      'not positive',
    ],
    [
      'an intermediate with a serial number of 21 bytes',
      chainWith({ asMiddle: { serialNumber: new Uint8Array(21).fill(1) } }),
      'SERIAL_NUMBER',
      '21 bytes',
    ],
    [
      'an intermediate without basic constraints',
      chainWith({ asMiddle: { basicConstraints: undefined } }),
      'NOT_A_CA',
      'intermediate "CN=middle" is not a CA',
    ],
    [
      'an intermediate with the CA flag false',
      chainWith({ asMiddle: { basicConstraints: sequence() } }),
      'NOT_A_CA',
      'intermediate "CN=middle" is not a CA',
    ],
    [
      'a root without the CA flag',
      chainWith({ asRoot: { basicConstraints: undefined } }),
      'NOT_A_CA',
      'root "CN=root" is not a CA',
    ],
    [
      'an intermediate that may not sign',
      chainWith({ asMiddle: { keyUsage: ['digitalSignature', 'crlSign'] } }),
      'CERT_SIGN',
      'intermediate "CN=middle"',
    ],
    [
      'an intermediate without key usage',
      chainWith({ asMiddle: { keyUsage: undefined } }),
      'CERT_SIGN',
      'intermediate "CN=middle"',
    ],
    ['a root that may not sign', chainWith({ asRoot: { keyUsage: ['crlSign'] } }), 'CERT_SIGN', 'root "CN=root"'],
    [
      'a root that allows no intermediate',
      chainWith({ asRoot: { basicConstraints: caConstraints(0) } }),
      'PATH_LENGTH',
      'root "CN=root" allows 0 intermediate certificates below it, found 1',
    ],
    [
      'an intermediate with another key',
      {
        ...input,
        intermediates: [
          parseCertificate(
            forge(
              signerNamed('impostor'),
              { subject: { commonName: 'middle' }, basicConstraints: caConstraints(), keyUsage: ['certSign'] },
              root,
            ),
          ),
        ],
      },
      'SIGNATURE',
      'certificate "CN=leaf" is not signed by "CN=middle"',
    ],
    [
      'a root with another key',
      { ...input, roots: [rootNamed('impostor', { subject: { commonName: 'root' } }).certificate] },
      'SIGNATURE',
      'certificate "CN=middle" is not signed by "CN=root"',
    ],
    ['no roots', { ...input, roots: [] }, 'UNKNOWN_AUTHORITY', 'no authority is called "CN=root"'],
    [
      'a missing intermediate',
      { ...input, intermediates: [] },
      'UNKNOWN_AUTHORITY',
      'no authority is called "CN=middle"',
    ],
    [
      'a root that is only shown by the peer',
      { ...input, intermediates: [middle.certificate, root.certificate], roots: [rootNamed('other').certificate] },
      'UNKNOWN_AUTHORITY',
      'no authority is called "CN=root"',
    ],
    [
      'a leaf that is among the roots',
      { leaf, intermediates: [], roots: [leaf], now },
      'UNKNOWN_AUTHORITY',
      'no authority is called "CN=middle"',
    ],
    [
      'a self-signed leaf that is among the roots',
      { leaf: selfSigned, intermediates: [], roots: [selfSigned], now },
      'NOT_A_CA',
      'root "CN=self" is not a CA',
    ],
    [
      '17 intermediates',
      { ...input, intermediates: new Array<Certificate>(17).fill(middle.certificate) },
      'CHAIN_TOO_LONG',
      '17 intermediate certificates, at most 16',
    ],
  ])('%s', (_, chain, code, message) => {
    expectRefusal(() => verifyChain(chain), code, message);
  });

  test('a leaf that signs for another leaf', () => {
    const signer = signerNamed('leaf');
    const below = leafUnder({ certificate: leaf, signer }, { subject: { commonName: 'below' } });
    expectRefusal(
      () => verifyChain({ ...input, leaf: below, intermediates: [leaf, middle.certificate] }),
      'NOT_A_CA',
      'intermediate "CN=leaf"',
    );
  });

  test('nine intermediates', () => {
    const steps = ladder(root, 9);
    const intermediates = steps.map(({ certificate }) => certificate);
    const long = { leaf: leafUnder(steps[8]!), intermediates, roots: [root.certificate], now };
    expectRefusal(() => verifyChain(long), 'CHAIN_TOO_LONG', 'path has more than 8 intermediate certificates');
  });

  test('a path length broken two steps below', () => {
    const first = intermediateNamed('first', root, { basicConstraints: caConstraints(1) });
    const [second, third] = ladder(first, 2);
    const chain = (last: Authority): ChainInput => ({
      leaf: leafUnder(last),
      intermediates: [first, second!, third!].map(({ certificate }) => certificate),
      roots: [root.certificate],
      now,
    });
    expect(verifyChain(chain(second!))).toHaveLength(4);
    expectRefusal(
      () => verifyChain(chain(third!)),
      'PATH_LENGTH',
      'intermediate "CN=first" allows 1 intermediate certificates below it, found 2',
    );
  });

  test('a signature with SHA-1', () => {
    const sha1 = sequence(encodeOid('1.2.840.10045.4.1'));
    const der = forge(signerNamed('leaf'), { innerAlgorithm: sha1 }, root);
    const honest = parseCertificate(forge(signerNamed('leaf'), {}, root));
    const tbs = new DerReader(der).sequence().whole(tags.sequence);
    const old = parseCertificate(sequence(tbs, sha1, bitString(honest.signature)));
    expectRefusal(
      () => verifyChain({ leaf: old, intermediates: [], roots: [root.certificate], now }),
      'SIGNATURE_ALGORITHM',
      'not supported',
    );
  });

  test('an intermediate without a subject', () => {
    expectRefusal(
      () => verifyChain(chainWith({ asMiddle: { subject: {} } })),
      'CA_SUBJECT',
      'intermediate has an empty subject',
    );
  });

  test('an issuer whose key we would not use', () => {
    const spki = sequence(
      sequence(encodeOid('1.2.840.10045.2.1'), encodeOid('1.3.132.0.10')),
      bitString(new Uint8Array(65).fill(4)),
    );
    expectRefusal(() => verifyChain(chainWith({ asMiddle: { spki } })), 'PUBLIC_KEY', 'curve 1.3.132.0.10');
  });

  test('every leaf with a changed byte', () => {
    const accepted: string[] = [];
    for (const der of mutationsOf(leaf.der)) {
      try {
        verifyChain({ ...input, leaf: parseCertificate(der) });
        accepted.push(Buffer.from(der).toString('hex'));
      } catch (error) {
        expect((error as Error).name).toBe('PkiError');
      }
    }
    expect(accepted).toEqual([]);
  });
});

describe('purposes', () => {
  const { serverAuth, clientAuth, any } = purposeOids;
  const under = (asMiddle: string[] | undefined, asLeaf: string[] | undefined): ChainInput =>
    chainWith({
      asMiddle: asMiddle === undefined ? {} : { extendedKeyUsage: asMiddle },
      asLeaf: asLeaf === undefined ? {} : { extendedKeyUsage: asLeaf },
    });

  test.each<[Usage, string[] | undefined, string[] | undefined]>([
    ['any', undefined, ['1.2.3']],
    ['server', undefined, undefined],
    ['server', [serverAuth], [clientAuth, serverAuth]],
    ['client', [any], [clientAuth]],
    ['client', undefined, [any]],
  ])('allow a %s with %s above and %s in the leaf', (usage, above, own) => {
    expect(verifyChain({ ...under(above, own), usage })).toHaveLength(3);
  });

  test.each<[Usage, string[] | undefined, string[] | undefined, string]>([
    ['server', undefined, [clientAuth], 'leaf "CN=leaf" is not for a server'],
    ['client', undefined, [serverAuth], 'leaf "CN=leaf" is not for a client'],
    ['server', [clientAuth], [serverAuth], 'intermediate "CN=middle" is not for a server'],
    ['server', [clientAuth], undefined, 'intermediate "CN=middle" is not for a server'],
  ])('refuse a %s with %s above and %s in the leaf', (usage, above, own, message) => {
    expectRefusal(() => verifyChain({ ...under(above, own), usage }), 'EXTENDED_KEY_USAGE', message);
  });
});

describe('a hostile chain', () => {
  test('of intermediates that all signed one another is given up after 32 signatures', () => {
    // One name and one key, so that every certificate seems to issue every other and each signature holds.
    const ring = rootNamed('ring');
    let signatures = 0;
    /** What is signed is looked at where a signature is verified, and nowhere else. */
    const counted = (certificate: Certificate): Certificate => {
      const { tbs } = certificate;
      return Object.defineProperty(certificate, 'tbs', { get: () => ((signatures += 1), tbs) });
    };
    const intermediates = Array.from({ length: 16 }, (_, index) =>
      parseCertificate(
        forge(
          ring.signer,
          {
            serialNumber: Uint8Array.of(index + 1),
            subject: { commonName: 'ring' },
            basicConstraints: caConstraints(),
            keyUsage: ['certSign'],
          },
          ring,
        ),
      ),
    );
    const hostile = { leaf: counted(leafUnder(ring)), intermediates: intermediates.map(counted) };
    expectRefusal(() => verifyChain({ ...hostile, roots: [root.certificate], now }), 'CHAIN_TOO_LONG');
    expect(signatures).toBe(32);
  });

  test('of many wrong keys under one name is given up after 32 signatures', () => {
    const wrong = Array.from(
      { length: 40 },
      (_, index) => rootNamed(`wrong ${index}`, { subject: { commonName: 'middle' } }).certificate,
    );
    expectRefusal(() => verifyChain({ leaf, intermediates: [], roots: wrong, now }), 'SIGNATURE');
  });
});

describe.skipIf(!hasOpenssl)('openssl agrees', () => {
  test.each<[string, ChainInput, boolean]>([
    ['on the honest chain', input, true],
    ['on an expired intermediate', chainWith({ asMiddle: { notAfter: now - 1000 } }), false],
    ['on an intermediate that is no CA', chainWith({ asMiddle: { basicConstraints: sequence() } }), false],
    ['on a broken path length', chainWith({ asRoot: { basicConstraints: caConstraints(0) } }), false],
    ['on an intermediate that may not sign', chainWith({ asMiddle: { keyUsage: ['crlSign'] } }), false],
    ['on an unknown critical extension', chainWith({ asMiddle: unknownCritical }), false],
    ['on a missing intermediate', { ...input, intermediates: [] }, false],
  ])('%s', (_, chain, accepted) => {
    const pem = (certificates: readonly Certificate[]): string => certificatesToPem(certificates.map(({ der }) => der));
    const files = { root: pem(chain.roots), middle: pem(chain.intermediates), leaf: pem([chain.leaf]) };
    const untrusted = chain.intermediates.length > 0 ? ['-untrusted', 'middle'] : [];
    const { ok } = openssl(['verify', '-attime', String(now / 1000), '-CAfile', 'root', ...untrusted, 'leaf'], files);
    const ours = (): boolean => {
      try {
        return verifyChain(chain).length > 0;
      } catch {
        return false;
      }
    };
    expect([ok, ours()]).toEqual([accepted, accepted]);
  });
});

test('certificates are good for an hour in these tests', () => {
  expect(leaf.notAfter - now).toBe(hour);
});
