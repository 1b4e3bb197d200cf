// X.509 certificates as read from DER (RFC 5280 §4.1). Reading says what a certificate claims; whether to believe it is verify-chain.ts.
import type { KeyObject } from 'node:crypto';
import { checkName, nameText } from './distinguished-name.ts';
import { DerReader, decodeSmallInteger, readWhole } from './der/reader.ts';
import { contextConstructed, contextPrimitive, tags } from './der/tags.ts';
import { readTime } from './der/time.ts';
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
  return namingCertificate(() => new ReadTbsCertificate(tbs));
}

/** What was read before it was signed, with its signature. */
export function certificateOf(read: TbsCertificate, der: Uint8Array, signature: Uint8Array): Certificate {
  return Object.assign(read, { der, signature });
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
  const read = new ReadTbsCertificate(tbs);
  // RFC 5280 §4.1.1.2: the algorithm outside the signature must be the one inside.
  if (Buffer.compare(read.algorithm, outerAlgorithm) !== 0)
    throw refuse('CERTIFICATE', 'the two signature algorithms differ');
  return certificateOf(read, der, signature);
}

/** A class, not a literal: an accessor in a literal makes each object slow to build and slow to read. */
class ReadTbsCertificate implements TbsCertificate {
  readonly tbs: Uint8Array;
  readonly version: number;
  readonly serialNumber: Uint8Array;
  /** As encoded. */
  readonly algorithm: Uint8Array;
  readonly signatureAlgorithm: SignatureAlgorithm | undefined;
  readonly issuer: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
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
  #publicKey: KeyObject | undefined;

  constructor(tbs: Uint8Array) {
    const fields = readWhole(tbs, (reader) => reader.sequence());
    this.tbs = tbs;
    this.version = readVersion(fields);
    this.serialNumber = fields.integer();
    this.algorithm = fields.whole(tags.sequence);
    this.signatureAlgorithm = supportedAlgorithm(this.algorithm);
    this.issuer = readName(fields);
    const validity = fields.sequence();
    this.notBefore = readTime(validity);
    this.notAfter = readTime(validity);
    validity.finish();
    this.subject = readName(fields);
    this.spki = fields.whole(tags.sequence);
    if (fields.nextTag === contextPrimitive(1)) fields.skip(); // issuerUniqueID
    if (fields.nextTag === contextPrimitive(2)) fields.skip(); // subjectUniqueID
    this.extensions = readExtensions(fields, this.version);
    fields.finish();
    const known = readKnownExtensions(this.extensions);
    this.isCa = known.isCa;
    this.pathLength = known.pathLength;
    this.keyUsage = known.keyUsage;
    this.extendedKeyUsage = known.extendedKeyUsage;
    this.names = known.names;
    this.uris = known.names.uris;
    this.dnsNames = known.names.dnsNames;
    this.subjectKeyId = known.subjectKeyId;
    this.authorityKeyId = known.authorityKeyId;
  }

  get publicKey(): KeyObject {
    this.#publicKey ??= parsePublicKey(this.spki);
    return this.#publicKey;
  }
}

function readVersion(fields: DerReader): number {
  if (fields.nextTag !== contextConstructed(0)) return 1;
  const inner = fields.inside(contextConstructed(0));
  const version = 1 + decodeSmallInteger(inner.integer());
  inner.finish();
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
  const inner = fields.inside(contextConstructed(3));
  const extensions = parseExtensions(inner.sequence());
  inner.finish();
  return extensions;
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
