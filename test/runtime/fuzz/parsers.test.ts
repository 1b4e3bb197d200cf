// Every parser of what comes from outside, under hostile input: it answers, or refuses by an error of its own kind; it never crashes and never hangs.
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AttestError } from '../../../runtime/attest/attest-error.ts';
import { documentSchema } from '../../../runtime/attest/aws_iid/identity-document.ts';
import { parseSignedData } from '../../../runtime/attest/aws_iid/signed-data.ts';
import { encodeBase64, encodeJson, parseJson } from '../../../runtime/attest/payload.ts';
import { parseEvidence } from '../../../runtime/attest/x509pop/evidence.ts';
import { HclError, parseHcl } from '../../../runtime/hcl/parse.ts';
import { parseCertificate, parseCertificateChain } from '../../../runtime/pki/certificate.ts';
import { createCsr, parseCsr } from '../../../runtime/pki/csr.ts';
import { DerReader } from '../../../runtime/pki/der/reader.ts';
import { decodeName, nameText } from '../../../runtime/pki/distinguished-name.ts';
import { PkiError } from '../../../runtime/pki/errors.ts';
import { parseGeneralNames } from '../../../runtime/pki/general-names.ts';
import { parseCompactJws, signCompactJws } from '../../../runtime/pki/jws.ts';
import { unverifiedJwtSubject, verifyJwtSvid } from '../../../runtime/pki/jwt-svid.ts';
import { certificatesFromPem, certificatesToPem } from '../../../runtime/pki/pem.ts';
import { encodePublicKey, parsePublicKey } from '../../../runtime/pki/public-key.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { verifyX509Svid } from '../../../runtime/pki/x509-svid.ts';
import { parseProxyHeader } from '../../../runtime/rpc/proxy-protocol.ts';
import { checkDnsName } from '../../../runtime/server/api/dns-name.ts';
import { parseExpiresBefore } from '../../../runtime/server/api/wire/agent.ts';
import { parseEndpointUrl } from '../../../runtime/server/federation/endpoint-url.ts';
import { encodeSpiffeBundle, parseSpiffeBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseDuration } from '../../../runtime/spiffe/duration.ts';
import { SpiffeError } from '../../../runtime/spiffe/errors.ts';
import { parseSelector } from '../../../runtime/spiffe/selector.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { findingOf, hostileBytes, hostileText, nestedDer } from '../../support/hostile.ts';
import { makePkcs7, document } from '../attest/aws_iid/signed-document.ts';
import { ecKeys, makeCertificate, rsaKeys } from '../attest/certificates.ts';
import { leafUnder, now, rootNamed } from '../pki/forge.ts';

const trustDomain = parseTrustDomain('td.test');
const root = rootNamed('root', { uris: ['spiffe://td.test'] });
const leaf = leafUnder(root, { dnsNames: ['a.test'] });
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const signer = signerOf(privateKey);
const csr = createCsr({ signer, spiffeId: parseSpiffeId('spiffe://td.test/w'), dnsNames: ['a.test'] });
const claims = { sub: 'spiffe://td.test/w', aud: ['a'], exp: 4_000_000_000 };
const token = signCompactJws(signer, { kid: 'k', typ: 'JWT' }, claims);
const bundle = encodeSpiffeBundle({
  trustDomain,
  x509Authorities: [{ asn1: root.certificate.der }],
  jwtAuthorities: [{ keyId: 'k', publicKey: encodePublicKey(publicKey), expiresAt: 0 }],
  refreshHintSeconds: 60,
  sequenceNumber: 7,
});
const region = makeCertificate({ commonName: 'us-east-1', keys: rsaKeys(), serialNumber: 7 });
const content = new TextEncoder().encode(JSON.stringify(document));
const pkcs7 = makePkcs7({ content, signer: region });
const popLeaf = makeCertificate({ commonName: 'node', keys: ecKeys() });
const popEvidence = encodeJson({ certificates: [encodeBase64(popLeaf.der)] });

const walk = (bytes: Uint8Array): void => {
  for (const reader = new DerReader(bytes); !reader.done;) reader.element();
};
const is = (kind: new (...args: never[]) => Error) => (error: unknown) => error instanceof kind;
/** Refusals that the caller turns into its own, by their text. */
const isPlain = (error: unknown) => error instanceof Error && error.constructor === Error;

interface BytesRow {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  readonly parse: (bytes: Uint8Array) => unknown;
  readonly refuses: (error: unknown) => boolean;
}

const byteParsers: readonly BytesRow[] = [
  { name: 'DER', samples: [leaf.der], parse: walk, refuses: is(PkiError) },
  { name: 'a certificate', samples: [leaf.der, root.certificate.der], parse: parseCertificate, refuses: is(PkiError) },
  {
    name: 'certificates one after the other',
    samples: [leaf.der],
    parse: parseCertificateChain,
    refuses: is(PkiError),
  },
  {
    name: 'a distinguished name',
    samples: [leaf.subject],
    parse: (b) => [decodeName(b), nameText(b)],
    refuses: is(PkiError),
  },
  {
    name: 'general names',
    samples: [Uint8Array.from([0x30, 3, 0x82, 1, 0x61])],
    parse: parseGeneralNames,
    refuses: is(PkiError),
  },
  { name: 'a CSR', samples: [csr], parse: parseCsr, refuses: is(PkiError) },
  { name: 'a public key', samples: [encodePublicKey(publicKey)], parse: parsePublicKey, refuses: is(PkiError) },
  {
    name: 'an X509-SVID',
    samples: [leaf.der],
    parse: (der) => verifyX509Svid({ chain: [der], roots: [root.certificate], now, trustDomain }),
    refuses: is(PkiError),
  },
  {
    name: 'a PROXY header',
    samples: [
      new TextEncoder().encode('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n'),
      Buffer.from('0d0a0d0a000d0a515549540a2111000c0a0000010a00000200010002', 'hex'),
    ],
    parse: (bytes) => parseProxyHeader(Buffer.from(bytes)),
    refuses: isPlain,
  },
  { name: 'PKCS#7', samples: [pkcs7], parse: parseSignedData, refuses: is(AttestError) },
  {
    name: 'x509pop evidence',
    samples: [popEvidence],
    parse: (payload) => parseEvidence(payload, { maxIntermediates: 4, maxRsaBits: 8192 }),
    refuses: is(AttestError),
  },
  {
    name: 'an instance identity document',
    samples: [content],
    parse: (bytes) => parseJson(bytes, documentSchema, 'DOCUMENT_MALFORMED', 'document'),
    refuses: is(AttestError),
  },
];

describe.each(byteParsers)('$name', ({ samples, parse, refuses }) => {
  test('is parsed or refused, whatever the bytes', () => {
    for (const sample of samples)
      expect(
        findingOf(
          () => parse(sample),
          () => false,
        ),
      ).toBeUndefined();
    fc.assert(
      fc.property(hostileBytes(samples), (bytes) => {
        expect(findingOf(() => parse(bytes), refuses)).toBeUndefined();
      }),
      { numRuns: 250 },
    );
  });
});

interface TextRow {
  readonly name: string;
  readonly samples: readonly string[];
  readonly parse: (text: string) => unknown;
  readonly refuses: (error: unknown) => boolean;
}

const deepHeader = (field: string) =>
  `${Buffer.from(`{"alg":"ES256","${field}":${'['.repeat(20_000)}${']'.repeat(20_000)}}`).toString('base64url')}.e30.AA`;

const trusted = parseSpiffeBundle(trustDomain, bundle);
const verifyToken = (text: string) => verifyJwtSvid({ token: text, bundle: trusted, audience: ['a'], now });

const textParsers: readonly TextRow[] = [
  { name: 'a SPIFFE ID', samples: ['spiffe://td.test/a/b'], parse: parseSpiffeId, refuses: is(SpiffeError) },
  { name: 'a trust domain', samples: ['td.test'], parse: parseTrustDomain, refuses: is(SpiffeError) },
  { name: 'a selector', samples: ['unix:uid:0'], parse: parseSelector, refuses: is(SpiffeError) },
  { name: 'a duration', samples: ['1h30m'], parse: parseDuration, refuses: is(SpiffeError) },
  {
    name: 'a bundle document',
    samples: [bundle],
    parse: (text) => parseSpiffeBundle(trustDomain, text),
    refuses: is(SpiffeError),
  },
  { name: 'PEM', samples: [certificatesToPem([leaf.der])], parse: certificatesFromPem, refuses: is(PkiError) },
  { name: 'a JWS', samples: [token], parse: parseCompactJws, refuses: is(PkiError) },
  { name: 'a JWT-SVID', samples: [token], parse: verifyToken, refuses: is(PkiError) },
  { name: 'the subject of a token', samples: [token], parse: unverifiedJwtSubject, refuses: is(PkiError) },
  { name: 'a DNS name', samples: ['*.a.test'], parse: checkDnsName, refuses: isPlain },
  { name: 'a point in time', samples: ['2026-01-02 15:04:05 -0700 -07'], parse: parseExpiresBefore, refuses: isPlain },
  {
    name: 'the URL of a bundle endpoint',
    samples: ['https://a.test:8443/b?c'],
    parse: parseEndpointUrl,
    refuses: isPlain,
  },
  {
    name: 'HCL',
    samples: ['server { a = "b" c = [1, 2] d "e" { f = true } }', '{"server": [{"a": "b", "c": [1, true]}]}'],
    parse: (text) => parseHcl(text),
    refuses: is(HclError),
  },
];

describe.each(textParsers)('$name', ({ samples, parse, refuses }) => {
  test('is parsed or refused, whatever the text', () => {
    for (const sample of samples)
      expect(
        findingOf(
          () => parse(sample),
          () => false,
        ),
      ).toBeUndefined();
    fc.assert(
      fc.property(hostileText(samples), (text) => {
        expect(findingOf(() => parse(text), refuses)).toBeUndefined();
      }),
      { numRuns: 250 },
    );
  });
});

describe('nesting', () => {
  test.each(['alg', 'kid', 'typ', 'crit', 'x'])('without end in the header %s of a token is refused', (field) => {
    expect(() => verifyToken(deepHeader(field))).toThrow(PkiError);
  });

  test('without end in a bundle document is refused by its depth', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(() => parseSpiffeBundle(trustDomain, `{"keys":[],"x":${deep}}`)).toThrow(SpiffeError);
  });

  test('without end in PKCS#7 is refused by its depth', () => {
    expect(() => parseSignedData(nestedDer(10_000))).toThrow(AttestError);
  });
});
