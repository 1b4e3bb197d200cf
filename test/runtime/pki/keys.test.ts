// Keys: which kinds we make, and which from outside we refuse before anything is verified with them.
import { createPublicKey, generateKeyPairSync as generate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeOid } from '../../../runtime/pki/der/oid.ts';
import { bitString, derNull, integer, sequence, smallInteger } from '../../../runtime/pki/der/writer.ts';
import { subjectKeyIdOf } from '../../../runtime/pki/key-id.ts';
import { generateKeyPair, generateKeyPairSync, keyTypes, parseKeyType } from '../../../runtime/pki/key-type.ts';
import { encodePublicKey, parsePublicKey } from '../../../runtime/pki/public-key.ts';
import { verifySignature } from '../../../runtime/pki/signature-algorithm.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { parsePem } from '../../../runtime/pki/pem.ts';
import { hasOpenssl, openssl } from './openssl.ts';
import { expectRefusal } from './refusal.ts';

const data = Buffer.from('to be signed');

function spkiOf(type: 'ec' | 'rsa' | 'ed25519' | 'x25519' | 'rsa-pss', options: object = {}): Uint8Array {
  const { publicKey } = generate(type as 'ec', options as { namedCurve: string });
  return Uint8Array.from(publicKey.export({ type: 'spki', format: 'der' }));
}

const rsaKey = (modulus: Uint8Array, exponent: Uint8Array, parameters = derNull()): Uint8Array =>
  sequence(
    sequence(encodeOid('1.2.840.113549.1.1.1'), parameters),
    bitString(sequence(integer(modulus), integer(exponent))),
  );

const ecKey = (curve: Uint8Array, point: Uint8Array): Uint8Array =>
  sequence(sequence(encodeOid('1.2.840.10045.2.1'), curve), bitString(point));

const p256 = encodeOid('1.2.840.10045.3.1.7');
const oddBytes = (length: number): Uint8Array => new Uint8Array(length).fill(0xff);
const f4 = Uint8Array.of(1, 0, 1);
const compressed = (): Uint8Array => {
  const spki = spkiOf('ec', { namedCurve: 'P-256' });
  return ecKey(p256, Uint8Array.of(2, ...spki.subarray(-64, -32)));
};

describe('a public key from outside', () => {
  test.each([
    ['nothing', new Uint8Array(0), /does not decode/],
    ['an empty sequence', sequence(), /does not decode/],
    ['RSA of 1024 bits', spkiOf('rsa', { modulusLength: 1024 }), 'RSA key of 1024 bits'],
    ['RSA of 2047 bits', rsaKey(Uint8Array.of(0x7f, ...oddBytes(255)), f4), 'RSA key of 2047 bits'],
    ['RSA of 8193 bits', rsaKey(Uint8Array.of(1, ...oddBytes(1024)), f4), 'RSA key of 8193 bits'],
    ['RSA with exponent 3', rsaKey(oddBytes(256), Uint8Array.of(3)), 'exponent 3 is below'],
    ['RSA with exponent 1', rsaKey(oddBytes(256), Uint8Array.of(1)), 'exponent 1 is below'],
    ['RSA with an even exponent', rsaKey(oddBytes(256), Uint8Array.of(1, 0, 2)), 'exponent 65538 is even'],
    ['RSA with a large exponent', rsaKey(oddBytes(256), oddBytes(5)), 'too large'],
    ['RSA with an even modulus', rsaKey(Uint8Array.of(...oddBytes(255), 0xfe), f4), 'modulus is even'],
    ['RSA without parameters', rsaKey(oddBytes(256), f4, new Uint8Array(0)), /does not decode/],
    ['RSA-PSS only', spkiOf('rsa-pss', { modulusLength: 2048 }), 'is not supported'],
    ['X25519', spkiOf('x25519'), 'public key algorithm 1.3.101.110 is not supported'],
    ['secp256k1', spkiOf('ec', { namedCurve: 'secp256k1' }), 'is not P-256, P-384 or P-521'],
    ['P-224', spkiOf('ec', { namedCurve: 'secp224r1' }), 'is not P-256, P-384 or P-521'],
    ['explicit curve parameters', spkiOf('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }), 'not a named one'],
    ['a compressed point', compressed(), 'not in uncompressed form'],
    ['the point at infinity', ecKey(p256, Uint8Array.of(0)), 'not in uncompressed form'],
    ['a point off the curve', ecKey(p256, Uint8Array.of(4, ...oddBytes(64))), /does not decode/],
    [
      'a P-256 point on P-384',
      ecKey(encodeOid('1.3.132.0.34'), spkiOf('ec', { namedCurve: 'P-256' }).subarray(-65)),
      'point',
    ],
    ['bytes after the key', Uint8Array.of(...spkiOf('ec', { namedCurve: 'P-256' }), 0), /does not decode/],
    [
      'a third field',
      sequence(sequence(encodeOid('1.3.101.112')), bitString(oddBytes(32)), smallInteger(1)),
      /not decode/,
    ],
    ['Ed25519 of 31 bytes', sequence(sequence(encodeOid('1.3.101.112')), bitString(oddBytes(31))), '31 bytes'],
  ])('is refused: %s', (_, spki, message) => {
    expectRefusal(() => parsePublicKey(spki), 'PUBLIC_KEY', message);
  });

  test.each([
    ['P-256', spkiOf('ec', { namedCurve: 'P-256' })],
    ['P-384', spkiOf('ec', { namedCurve: 'P-384' })],
    ['P-521', spkiOf('ec', { namedCurve: 'P-521' })],
    ['RSA 2048', spkiOf('rsa', { modulusLength: 2048 })],
    ['Ed25519', spkiOf('ed25519')],
  ])('is accepted and encodes to the same bytes: %s', (_, spki) => {
    const key = parsePublicKey(spki);
    expect(encodePublicKey(key)).toEqual(spki);
    expect(Uint8Array.from(key.export({ type: 'spki', format: 'der' }))).toEqual(spki);
  });

  test('whose bytes are changed later is not changed', () => {
    const spki = spkiOf('ec', { namedCurve: 'P-256' });
    const key = parsePublicKey(spki);
    const before = encodePublicKey(key).slice();
    spki.fill(0);
    expect(encodePublicKey(key)).toEqual(before);
  });

  test('with any byte changed is refused by name or is another key', () => {
    const spki = spkiOf('ec', { namedCurve: 'P-256' });
    for (const [index, byte] of spki.entries()) {
      const changed = spki.slice();
      changed[index] = byte ^ 0x01;
      try {
        expect(encodePublicKey(parsePublicKey(changed))).toEqual(changed);
      } catch (error) {
        expect(error).toMatchObject({ code: 'PUBLIC_KEY' });
      }
    }
  });
});

describe('a key type', () => {
  test.each(['', 'EC-P256', 'ec-p521', 'rsa-1024', 'ed25519'])('is refused: "%s"', (text) => {
    expectRefusal(() => parseKeyType(text), 'KEY_TYPE', `key type "${text}" is unknown`);
  });

  test.each([
    ['ec-p256', 'ecdsa-sha256', { namedCurve: 'prime256v1' }],
    ['ec-p384', 'ecdsa-sha384', { namedCurve: 'secp384r1' }],
    ['rsa-2048', 'rsa-sha256', { modulusLength: 2048, publicExponent: 65537n }],
  ] as const)('%s signs with %s', (type, algorithm, details) => {
    const { publicKey, privateKey } = generateKeyPairSync(parseKeyType(type));
    const signer = signerOf(privateKey);
    expect(signer.algorithm).toBe(algorithm);
    expect(publicKey.asymmetricKeyDetails).toEqual(details);
    expect(verifySignature(algorithm, publicKey, data, signer.sign(data))).toBe(true);
    expect(verifySignature(algorithm, publicKey, Buffer.from('other'), signer.sign(data))).toBe(false);
  });

  test('all are made off the event loop as well', async () => {
    expect(keyTypes).toEqual(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096']);
    const { publicKey } = await generateKeyPair('ec-p384');
    expect(publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp384r1' });
  });

  test('of a key that signs with nothing we know is refused', () => {
    const { privateKey } = generate('ec', { namedCurve: 'secp256k1' });
    expectRefusal(() => signerOf(privateKey), 'KEY_TYPE', 'no signature algorithm for a key of type ec secp256k1');
  });
});

describe('a signature', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec-p256');
  const signature = signerOf(privateKey).sign(data);

  test('is refused under an algorithm of another kind of key', () => {
    expect(verifySignature('rsa-sha256', publicKey, data, signature)).toBe(false);
    expect(verifySignature('ed25519', publicKey, data, signature)).toBe(false);
  });

  test('is refused with any byte changed, cut short or prolonged', () => {
    const variants = [...signature.keys()].map((index) =>
      signature.map((byte, at) => (at === index ? byte ^ 1 : byte)),
    );
    const all = [
      ...variants,
      signature.subarray(1),
      signature.subarray(0, -1),
      Uint8Array.of(...signature, 0),
      new Uint8Array(0),
    ];
    expect(all.filter((variant) => verifySignature('ecdsa-sha256', publicKey, data, variant))).toEqual([]);
  });

  test('of zeros is refused', () => {
    expect(verifySignature('ecdsa-sha256', publicKey, data, sequence(smallInteger(0), smallInteger(0)))).toBe(false);
  });
});

describe('a key identifier', () => {
  test.skipIf(!hasOpenssl)('is the one that openssl computes', () => {
    const pem = openssl(
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        'k',
        '-subj',
        '/CN=a',
      ],
      {},
    );
    const certificate = parsePem(pem.text).find(({ label }) => label === 'CERTIFICATE');
    const spki = Uint8Array.from(
      createPublicKey(pem.text.slice(pem.text.indexOf('-----BEGIN CERT'))).export({ type: 'spki', format: 'der' }),
    );
    expect(Buffer.from(certificate!.der).includes(Buffer.from(subjectKeyIdOf(spki)))).toBe(true);
  });
});
