// X.509 certificates as read from DER (RFC 5280 §4.1). Reading says what a certificate claims; whether to believe it is verify-chain.ts.
import type { KeyObject } from 'node:crypto';
import { checkName, nameText } from './distinguished-name.ts';
import { DerReader, decodeSmallInteger, readWhole } from './der/reader.ts';
import { contextConstructed, contextPrimitive, tags } from './der/tags.ts';
import { decodeTime } from './der/time.ts';
import { PkiError, refuse } from './errors.ts';
import { parseExtensions, readKnownExtensions } from './extensions.ts';
import type { Extension } from './extensions.ts';
import type { GeneralNames } from './general-names.ts';
import type { KeyUsage } from './key-usage.ts';
import { parsePublicKey } from './public-key.ts';
import { parseSignatureAlgorithm } from './signature-algorithm.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';

/** The fields that the signature covers. */
export interface TbsCertificate {
  readonly tbs: Uint8Array;
  readonly version: number;
  /** Two's complement, as encoded. */
  readonly serialNumber: Uint8Array;
  /** Undefined for an algorithm that we do not verify. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  /** Whole Names: compared as bytes. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Epoch milliseconds, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spki: Uint8Array;
  /** Decoded when first asked for; throws `PUBLIC_KEY` for a key that we would not use. */
  readonly publicKey: KeyObject;
  readonly extensions: readonly Extension[];
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly keyUsage: KeyUsage;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly names: GeneralNames;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
}

export interface Certificate extends TbsCertificate {
  readonly der: Uint8Array;
  readonly signature: Uint8Array;
}

export function parseCertificate(der: Uint8Array): Certificate {
  return namingCertificate(() => readWhole(der, readCertificate));
}

/** Certificates one after another, as the Workload API and agent_svid.der carry them; at least one. */
export function parseCertificateChain(der: Uint8Array): Certificate[] {
  return namingCertificate(() => {
    const reader = new DerReader(der);
    const chain: Certificate[] = [];
    while (!reader.done) chain.push(readCertificate(reader));
    if (chain.length === 0) throw refuse('CERTIFICATE', 'chain is empty');
    return chain;
  });
}

/** Reads the part that is signed, before or after it is. */
export function parseTbsCertificate(tbs: Uint8Array): TbsCertificate {
  return namingCertificate(() => {
    const { certificate } = readTbs(tbs);
    return certificate;
  });
}

/** The subject as text, the last attribute first. */
export function subjectText({ subject }: Pick<Certificate, 'subject'>): string {
  return nameText(subject);
}

export function serialDecimal({ serialNumber }: Pick<Certificate, 'serialNumber'>): string {
  const value = BigInt(`0x${Buffer.from(serialNumber).toString('hex')}`);
  return BigInt.asIntN(serialNumber.length * 8, value).toString();
}

function readCertificate(reader: DerReader): Certificate {
  const { bytes: der, content, tag } = reader.element();
  if (tag !== tags.sequence) throw refuse('CERTIFICATE', `found tag 0x${tag.toString(16)}, want a sequence`);
  const fields = new DerReader(content);
  const tbs = fields.whole(tags.sequence);
  const outerAlgorithm = fields.whole(tags.sequence);
  const signature = fields.bitString();
  fields.finish();
  const { certificate, algorithm } = readTbs(tbs);
  // RFC 5280 §4.1.1.2: the algorithm outside the signature must be the one inside.
  if (!Buffer.from(algorithm).equals(outerAlgorithm))
    throw refuse('CERTIFICATE', 'the two signature algorithms differ');
  return Object.assign(certificate, { der, signature });
}

function readTbs(tbs: Uint8Array): { certificate: TbsCertificate; algorithm: Uint8Array } {
  const fields = readWhole(tbs, (reader) => reader.sequence());
  const version = readVersion(fields);
  const serialNumber = fields.integer();
  const algorithm = fields.whole(tags.sequence);
  const issuer = readName(fields);
  const validity = fields.sequence();
  const notBefore = decodeTime(validity.element());
  const notAfter = decodeTime(validity.element());
  validity.finish();
  const subject = readName(fields);
  const spki = fields.whole(tags.sequence);
  if (fields.nextTag === contextPrimitive(1)) fields.element(); // issuerUniqueID
  if (fields.nextTag === contextPrimitive(2)) fields.element(); // subjectUniqueID
  const extensions = readExtensions(fields, version);
  fields.finish();
  const known = readKnownExtensions(extensions);
  let publicKey: KeyObject | undefined;
  const certificate: TbsCertificate = {
    tbs,
    version,
    serialNumber,
    signatureAlgorithm: supportedAlgorithm(algorithm),
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    get publicKey() {
      publicKey ??= parsePublicKey(spki);
      return publicKey;
    },
    extensions,
    ...known,
    uris: known.names.uris,
    dnsNames: known.names.dnsNames,
  };
  return { certificate, algorithm };
}

function readVersion(fields: DerReader): number {
  if (fields.nextTag !== contextConstructed(0)) return 1;
  const version =
    1 + readWhole(fields.content(contextConstructed(0)), (reader) => decodeSmallInteger(reader.integer()));
  if (version !== 2 && version !== 3)
    throw refuse('CERTIFICATE', `version ${version} is unknown or should be left out`);
  return version;
}

function readName(fields: DerReader): Uint8Array {
  const name = fields.whole(tags.sequence);
  checkName(name);
  return name;
}

function readExtensions(fields: DerReader, version: number): Extension[] {
  if (fields.nextTag !== contextConstructed(3)) return [];
  if (version !== 3) throw refuse('CERTIFICATE', `extensions in a certificate of version ${version}`);
  return readWhole(fields.content(contextConstructed(3)), (reader) => parseExtensions(reader.sequence()));
}

function supportedAlgorithm(der: Uint8Array): SignatureAlgorithm | undefined {
  try {
    return parseSignatureAlgorithm(der);
  } catch (error) {
    if (error instanceof PkiError && error.code === 'SIGNATURE_ALGORITHM') return undefined; // a root's own signature is never verified
    throw error;
  }
}

/** Encoding errors inside are errors of the certificate. */
function namingCertificate<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof PkiError && cause.code === 'DER')
      throw refuse('CERTIFICATE', `certificate does not decode: ${cause.message}`, cause);
    throw cause;
  }
}
