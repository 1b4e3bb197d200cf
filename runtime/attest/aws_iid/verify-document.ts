// Decides whether AWS signed an instance identity document: a ladder of refusals, each digest and signature computed by node:crypto. What is returned
// was read from the signed bytes; the document beside them only has to be equal to them.
import { createHash, timingSafeEqual, verify } from 'node:crypto';
import type { Certificate } from '../../pki/certificate.ts';
import { invalidEvidence, undecided } from '../attest-error.ts';
import { decodeBase64, parseJson } from '../payload.ts';
import { bytesOf, decodeBer, oidOf, types } from './asn1-walk.ts';
import { documentSchema } from './identity-document.ts';
import type { AttestationData, IdentityDocument } from './identity-document.ts';
import { parseSignedData } from './signed-data.ts';
import type { SignedAttributes, SignedData } from './signed-data.ts';

/** The certificate whose key AWS signs with in that region. */
export type FindRegionCertificate = (region: string) => Certificate | undefined;

const oids = {
  data: '1.2.840.113549.1.7.1',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  sha256: '2.16.840.1.101.3.4.2.1',
  rsaEncryption: '1.2.840.113549.1.1.1',
  sha256WithRsa: '1.2.840.113549.1.1.11',
} as const;

export function verifyDocument(data: AttestationData, findCertificate: FindRegionCertificate): IdentityDocument {
  const signed = readSignature(data);
  const document = parseJson(signed.content, documentSchema, 'DOCUMENT_MALFORMED', 'instance identity document');
  const certificate = findCertificate(document.region);
  if (certificate === undefined) {
    throw undecided(
      'REGION_UNKNOWN',
      `failed to load the AWS CA certificate for region "${document.region}": unsupported region`,
    );
  }
  checkSigner(signed, certificate);
  checkAlgorithms(signed);
  checkSignature(signed, certificate);
  // A sound signature from an instance of the attacker's own, next to a document that is not its: refused here.
  if (!Buffer.from(data.document, 'utf8').equals(signed.content)) {
    throw invalidEvidence('CONTENT_MISMATCH', 'instance identity document does not match the verified PKCS7 content');
  }
  return document;
}

/** RSA-1024 signatures, which older agents send alone, are not accepted: that key size is broken. */
function readSignature(data: AttestationData): SignedData {
  if (data.rsa2048 === '')
    throw invalidEvidence('SIGNATURE_MISSING', 'instance identity RSA-2048 signature is required');
  const ber = decodeBase64(data.rsa2048);
  if (ber === undefined)
    throw invalidEvidence('PKCS7_MALFORMED', 'failed to decode the instance identity signature: not base64');
  return parseSignedData(ber);
}

function checkSigner(signed: SignedData, certificate: Certificate): void {
  const same =
    Buffer.from(signed.issuer).equals(certificate.issuer) &&
    Buffer.from(signed.serialNumber).equals(certificate.serialNumber);
  if (!same)
    throw invalidEvidence(
      'SIGNER_UNKNOWN',
      'instance identity signature was not made with the certificate of its region',
    );
}

function checkAlgorithms({ digestAlgorithm, signatureAlgorithm, contentType }: SignedData): void {
  if (contentType !== oids.data)
    throw invalidEvidence('PKCS7_MALFORMED', `signed content has type ${contentType}, want data`);
  if (digestAlgorithm !== oids.sha256)
    throw invalidEvidence('SIGNATURE_ALGORITHM', `digest algorithm ${digestAlgorithm} is not SHA-256`);
  if (signatureAlgorithm !== oids.rsaEncryption && signatureAlgorithm !== oids.sha256WithRsa) {
    throw invalidEvidence('SIGNATURE_ALGORITHM', `signature algorithm ${signatureAlgorithm} is not RSA with SHA-256`);
  }
}

/** With signed attributes the signature covers them and the digest inside covers the content; without, it covers the content (RFC 5652 §5.4). */
function checkSignature({ content, signedAttributes, signature }: SignedData, { publicKey }: Certificate): void {
  if (publicKey.asymmetricKeyType !== 'rsa')
    throw undecided('SIGNATURE_ALGORITHM', 'certificate of the region has no RSA key');
  if (signedAttributes !== undefined) checkAttributes(signedAttributes, content);
  const message = signedAttributes?.der ?? content;
  if (!verify('sha256', message, publicKey, signature)) {
    throw invalidEvidence('SIGNATURE_INVALID', 'failed verification of instance identity cryptographic signature');
  }
}

function checkAttributes(attributes: SignedAttributes, content: Uint8Array): void {
  const [contentType, messageDigest] = readingAttributes(
    () =>
      [
        oidOf(decodeBer(onlyValue(attributes, oids.contentType))),
        bytesOf(decodeBer(onlyValue(attributes, oids.messageDigest)), types.OCTETSTRING),
      ] as const,
  );
  if (contentType !== oids.data)
    throw invalidEvidence('SIGNED_ATTRIBUTES', `signed content type ${contentType} is not that of the content`);
  const digest = createHash('sha256').update(content).digest();
  if (messageDigest.length !== digest.length || !timingSafeEqual(messageDigest, digest)) {
    throw invalidEvidence('DIGEST_MISMATCH', 'signed digest is not that of the content');
  }
}

/** Each of the two attributes must be there once, with one value (RFC 5652 §11.1, §11.2): two would leave the choice to the reader. */
function onlyValue({ values }: SignedAttributes, wanted: string): Uint8Array {
  const found = values.filter(([oid]) => oid === wanted).flatMap(([, all]) => all);
  const [value, ...others] = found;
  if (value === undefined || others.length > 0)
    throw new Error(`attribute ${wanted} has ${found.length} values, want 1`);
  return value;
}

function readingAttributes<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw invalidEvidence(
      'SIGNED_ATTRIBUTES',
      `signed attributes of the instance identity signature: ${reason}`,
      cause,
    );
  }
}
