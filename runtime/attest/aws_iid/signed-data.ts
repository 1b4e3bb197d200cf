// Reads PKCS#7 SignedData (RFC 2315 §9, RFC 5652 §5) with one signer and its content inside. Only reads: verify-document.ts decides.
import { invalidEvidence } from '../attest-error.ts';
import {
  asSet,
  bytesOf,
  decodeBer,
  elementsOf,
  encodeDer,
  octetsOf,
  oidOf,
  taggedElements,
  types,
} from './asn1-walk.ts';
import type { Asn1 } from './asn1-walk.ts';

export interface SignedAttributes {
  /** As the signer signed them: a DER SET (RFC 5652 §5.4), though the message carries them under another tag. */
  readonly der: Uint8Array;
  /** The values of each attribute, DER, in the order they came. */
  readonly values: readonly (readonly [oid: string, values: readonly Uint8Array[]])[];
}

export interface SignedData {
  readonly contentType: string;
  readonly content: Uint8Array;
  /** DER Name and INTEGER content: which certificate the signer says is theirs. */
  readonly issuer: Uint8Array;
  readonly serialNumber: Uint8Array;
  readonly digestAlgorithm: string;
  readonly signatureAlgorithm: string;
  /** Where they are there, the signature covers them, and they cover the content. */
  readonly signedAttributes: SignedAttributes | undefined;
  readonly signature: Uint8Array;
}

const signedDataOid = '1.2.840.113549.1.7.2';

export function parseSignedData(ber: Uint8Array): SignedData {
  const { content, contentType, signers } = readingPkcs7(() => readContent(ber));
  const [signer, ...others] = signers;
  if (signer === undefined || others.length > 0) {
    throw invalidEvidence('SIGNER_COUNT', `instance identity signature has ${signers.length} signers, want 1`);
  }
  return { content, contentType, ...readingPkcs7(() => readSigner(signer)) };
}

function readContent(ber: Uint8Array): { contentType: string; content: Uint8Array; signers: Asn1[] } {
  const [outerType, outerContent] = elementsOf(decodeBer(ber), types.SEQUENCE);
  if (oidOf(outerType) !== signedDataOid) throw new Error('not SignedData');
  const signedData = elementsOf(single(taggedElements(outerContent, 0)), types.SEQUENCE);
  const [version, digestAlgorithms, encapsulated, ...rest] = signedData;
  bytesOf(version, types.INTEGER);
  elementsOf(digestAlgorithms, types.SET);
  const [contentType, content] = elementsOf(encapsulated, types.SEQUENCE);
  // [0] certificates and [1] revocation lists may stand between. They are not read: the key comes from our own table.
  const signers = elementsOf(rest.at(-1), types.SET);
  return { contentType: oidOf(contentType), content: octetsOf(single(taggedElements(content, 0))), signers };
}

function readSigner(signer: Asn1): Omit<SignedData, 'content' | 'contentType'> {
  const [version, issuerAndSerial, digestAlgorithm, ...rest] = elementsOf(signer, types.SEQUENCE);
  bytesOf(version, types.INTEGER);
  const [issuer, serialNumber] = elementsOf(issuerAndSerial, types.SEQUENCE);
  elementsOf(issuer, types.SEQUENCE);
  const attributes = taggedElements(rest[0], 0);
  const [signatureAlgorithm, signature] = attributes === undefined ? rest : rest.slice(1);
  return {
    issuer: encodeDer(issuer as Asn1),
    serialNumber: bytesOf(serialNumber, types.INTEGER),
    digestAlgorithm: algorithmOf(digestAlgorithm),
    signatureAlgorithm: algorithmOf(signatureAlgorithm),
    signedAttributes: attributes === undefined ? undefined : readAttributes(attributes),
    signature: octetsOf(signature),
  };
}

function readAttributes(attributes: readonly Asn1[]): SignedAttributes {
  const values = attributes.map((attribute) => {
    const [type, set] = elementsOf(attribute, types.SEQUENCE);
    return [oidOf(type), elementsOf(set, types.SET).map(encodeDer)] as const;
  });
  return { der: encodeDer(asSet(attributes)), values };
}

function algorithmOf(identifier: Asn1 | undefined): string {
  return oidOf(elementsOf(identifier, types.SEQUENCE)[0]);
}

function single(elements: readonly Asn1[] | undefined): Asn1 | undefined {
  if (elements?.length !== 1) throw new Error('one element expected');
  return elements[0];
}

function readingPkcs7<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw invalidEvidence('PKCS7_MALFORMED', `failed to parse the instance identity signature: ${reason}`, cause);
  }
}
