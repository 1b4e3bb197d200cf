// Certificates of any shape for the attestors' tests: what runtime/pki would refuse to issue must be makeable here.
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { element, integer, namedBits, octetString, sequence, smallInteger } from '../../../runtime/pki/der/writer.ts';
import { bitString, derNull, boolean } from '../../../runtime/pki/der/writer.ts';
import { encodeOid } from '../../../runtime/pki/der/oid.ts';
import { encodeName } from '../../../runtime/pki/distinguished-name.ts';
import { encodePem } from '../../../runtime/pki/pem.ts';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface TestCertificate {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly name: Uint8Array;
  readonly serialNumber: number;
  readonly keys: KeyPair;
}

export interface CertificateInput {
  readonly commonName: string;
  /** `Test` where left out. */
  readonly organization?: string;
  readonly keys: KeyPair;
  readonly issuer?: TestCertificate;
  readonly ca?: boolean;
  readonly serialNumber?: number;
  /** None leaves the key usage extension out. */
  readonly digitalSignature?: boolean;
  readonly uris?: readonly string[];
  readonly ipv4?: string | readonly string[];
  readonly notAfter?: Date;
}

export const rsaKeys = (bits = 2048): KeyPair => generateKeyPairSync('rsa', { modulusLength: bits });
export const ecKeys = (namedCurve = 'P-256'): KeyPair => generateKeyPairSync('ec', { namedCurve });

export function makeCertificate(input: CertificateInput): TestCertificate {
  const { commonName, organization = 'Test', keys, issuer, ca = false, serialNumber = 1 } = input;
  const name = encodeName({ organization, commonName });
  const signingKey = issuer?.keys.privateKey ?? keys.privateKey;
  const algorithm = signatureAlgorithm(signingKey);
  const tbs = sequence(
    element(0xa0, smallInteger(2)),
    integer(Uint8Array.of(serialNumber)),
    algorithm,
    issuer?.name ?? name,
    sequence(utcTime(new Date('2020-01-01T00:00:00Z')), utcTime(input.notAfter ?? new Date('2045-01-01T00:00:00Z'))),
    name,
    new Uint8Array(keys.publicKey.export({ format: 'der', type: 'spki' })),
    element(0xa3, sequence(...extensions(input, ca))),
  );
  const der = sequence(tbs, algorithm, bitString(new Uint8Array(sign('sha256', tbs, signingKey))));
  return { der, pem: encodePem('CERTIFICATE', der), name, serialNumber, keys };
}

function extensions({ digitalSignature = true, uris = [], ipv4 = [] }: CertificateInput, ca: boolean): Uint8Array[] {
  const names = [
    ...uris.map((uri) => element(0x86, new TextEncoder().encode(uri))),
    ...[ipv4].flat().map((address) => element(0x87, Uint8Array.from(address.split('.').map(Number)))),
  ];
  // Bits: 0 digital signature, 2 key encipherment, 5 certificate signing.
  const usage = ca ? [digitalSignature, false, false, false, false, true] : [digitalSignature, false, true];
  return [
    extension('2.5.29.19', ca ? sequence(boolean(true)) : sequence(), true),
    extension('2.5.29.15', namedBits(usage), true),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', sequence(...names), false)]),
  ];
}

function extension(oid: string, value: Uint8Array, critical: boolean): Uint8Array {
  return sequence(encodeOid(oid), ...(critical ? [boolean(true)] : []), octetString(value));
}

function signatureAlgorithm(key: KeyObject): Uint8Array {
  return key.asymmetricKeyType === 'rsa'
    ? sequence(encodeOid('1.2.840.113549.1.1.11'), derNull())
    : sequence(encodeOid('1.2.840.10045.4.3.2'));
}

function utcTime(date: Date): Uint8Array {
  const text = date
    .toISOString()
    .replace(/[-:T]|\.\d+/g, '')
    .slice(2);
  return element(0x17, new TextEncoder().encode(text));
}
