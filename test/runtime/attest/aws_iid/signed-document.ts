// Instance identity documents with PKCS#7 signatures of every kind: as AWS makes them, and as somebody would who wants to pass for AWS.
import { createHash, sign } from 'node:crypto';
import { encodeOid } from '../../../../runtime/pki/der/oid.ts';
import { derNull, element, integer, octetString, sequence, smallInteger } from '../../../../runtime/pki/der/writer.ts';
import { bytes } from '../server-context.ts';
import type { TestCertificate } from '../certificates.ts';

export const document = {
  accountId: '000000000077',
  architecture: 'x86_64',
  availabilityZone: 'us-east-1a',
  billingProducts: null,
  devpayProductCodes: null,
  imageId: 'ami-0123456789abcdef0',
  instanceId: 'i-0abc0000000000001',
  instanceType: 't3.small',
  pendingTime: '2026-11-24T11:58:00Z',
  privateIp: '127.77.1.1',
  region: 'us-east-1',
  version: '2017-09-30',
};

export const oids = {
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  envelopedData: '1.2.840.113549.1.7.3',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  rsaPss: '1.2.840.113549.1.1.10',
};

export interface Pkcs7Input {
  readonly content: Uint8Array;
  readonly signer: TestCertificate;
  /** DER attributes to sign; false for none at all. The honest two are the default. */
  readonly attributes?: readonly Uint8Array[] | false;
  /** Signs these bytes instead of the right ones. */
  readonly signs?: Uint8Array;
  readonly serialNumber?: number;
  readonly digest?: string;
  readonly algorithm?: string;
  readonly contentType?: string;
  readonly signers?: number;
  /** Lengths left open and the content in pieces, as AWS's own library writes it. */
  readonly ber?: boolean;
  readonly certificates?: boolean;
}

export function makePkcs7(input: Pkcs7Input): Uint8Array {
  const { content, signer, ber = false, digest = oids.sha256, contentType = oids.data, signers = 1 } = input;
  const wrap = ber ? indefinite : (tag: number, ...parts: readonly Uint8Array[]) => element(tag, ...parts);
  const octets = ber
    ? indefinite(0x24, octetString(content.subarray(0, 5)), octetString(content.subarray(5)))
    : octetString(content);
  const info = wrap(0x30, encodeOid(contentType), wrap(0xa0, octets));
  const certificates = input.certificates === true ? [element(0xa0, signer.der)] : [];
  const infos = Array.from({ length: signers }, () => signerInfo(input));
  const algorithms = element(0x31, algorithm(digest));
  return wrap(
    0x30,
    encodeOid(oids.signedData),
    wrap(0xa0, wrap(0x30, smallInteger(1), algorithms, info, ...certificates, element(0x31, ...infos))),
  );
}

function signerInfo(input: Pkcs7Input): Uint8Array {
  const { content, signer, digest = oids.sha256 } = input;
  const attributes = input.attributes ?? honestAttributes(content);
  const message = input.signs ?? (attributes === false ? content : element(0x31, ...attributes));
  return sequence(
    smallInteger(1),
    sequence(signer.name, integer(Uint8Array.of(input.serialNumber ?? signer.serialNumber))),
    algorithm(digest),
    ...(attributes === false ? [] : [element(0xa0, ...attributes)]),
    algorithm(input.algorithm ?? oids.rsaEncryption),
    octetString(new Uint8Array(sign(digest === oids.sha1 ? 'sha1' : 'sha256', message, signer.keys.privateKey))),
  );
}

export function honestAttributes(content: Uint8Array): Uint8Array[] {
  return [
    attribute(oids.contentType, encodeOid(oids.data)),
    attribute(oids.signingTime, element(0x17, bytes('261124115800Z'))),
    attribute(oids.messageDigest, digestOf(content)),
  ];
}

export function attribute(oid: string, ...values: readonly Uint8Array[]): Uint8Array {
  return sequence(encodeOid(oid), element(0x31, ...values));
}

export function digestOf(content: Uint8Array): Uint8Array {
  return octetString(new Uint8Array(createHash('sha256').update(content).digest()));
}

function algorithm(oid: string): Uint8Array {
  return sequence(encodeOid(oid), derNull());
}

function indefinite(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from([tag, 0x80, ...parts.flatMap((part) => [...part]), 0, 0]);
}
