// Certificate requests, PKCS #10 (RFC 2986). Of a request the servers believe the public key, and the names only where they say so.
import type { KeyObject } from 'node:crypto';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { checkName, encodeName } from './distinguished-name.ts';
import type { NameFields } from './distinguished-name.ts';
import { encodeOid } from './der/oid.ts';
import { DerReader, decodeSmallInteger, readWhole } from './der/reader.ts';
import { contextConstructed, tags } from './der/tags.ts';
import { bitString, element, sequence, setOf, smallInteger } from './der/writer.ts';
import { PkiError, refuse } from './errors.ts';
import { encodeExtension, parseExtensions } from './extensions.ts';
import { encodeGeneralNames, noGeneralNames, parseGeneralNames } from './general-names.ts';
import type { GeneralNames } from './general-names.ts';
import { extensionOids, extensionRequestOid } from './oids.ts';
import { encodePublicKey, parsePublicKey } from './public-key.ts';
import { encodeSignatureAlgorithm, parseSignatureAlgorithm, verifySignature } from './signature-algorithm.ts';
import type { Signer } from './signer.ts';

export interface CsrInput {
  readonly signer: Signer;
  /** Left out of an agent's request: the server chooses the agent's ID. */
  readonly spiffeId?: SpiffeId;
  readonly dnsNames?: readonly string[];
  readonly commonName?: string;
  /** Instead of `C=US,O=SPIRE`. */
  readonly subject?: NameFields;
}

export interface Csr {
  readonly der: Uint8Array;
  readonly spki: Uint8Array;
  readonly publicKey: KeyObject;
  /** A whole Name. */
  readonly subject: Uint8Array;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Whether the requester holds the private key; parseCsr has already refused the others. */
  verifySignature(): boolean;
}

const defaultSubject: NameFields = { country: 'US', organization: 'SPIRE' };

export function createCsr({
  signer,
  spiffeId,
  dnsNames = [],
  commonName,
  subject = defaultSubject,
}: CsrInput): Uint8Array {
  const name = commonName === undefined ? subject : { ...subject, commonName };
  const uris = spiffeId === undefined ? [] : [spiffeId.toString()];
  const info = sequence(
    smallInteger(0),
    encodeName(name),
    encodePublicKey(signer.publicKey),
    element(contextConstructed(0), ...encodeAttributes(dnsNames, uris)),
  );
  return sequence(info, encodeSignatureAlgorithm(signer.algorithm), bitString(signer.sign(info)));
}

/** Refuses a request whose signature is not by the key that it carries. */
export function parseCsr(der: Uint8Array): Csr {
  const csr = namingCsr(() => readWhole(der, readCsr));
  if (!csr.verifySignature()) throw refuse('CSR_SIGNATURE', 'request is not signed by the key that it carries');
  return csr;
}

function readCsr(reader: DerReader): Csr {
  const { bytes: der, content, tag } = reader.element();
  if (tag !== tags.sequence) throw refuse('CSR', `found tag 0x${tag.toString(16)}, want a sequence`);
  const fields = new DerReader(content);
  const info = fields.whole(tags.sequence);
  const algorithm = parseSignatureAlgorithm(fields.whole(tags.sequence));
  const signature = fields.bitString();
  fields.finish();
  const { subject, spki, names } = readInfo(readWhole(info, (inner) => inner.sequence()));
  const publicKey = parsePublicKey(spki);
  return {
    der,
    spki,
    publicKey,
    subject,
    uris: names.uris,
    dnsNames: names.dnsNames,
    verifySignature: () => verifySignature(algorithm, publicKey, info, signature),
  };
}

function readInfo(info: DerReader): { subject: Uint8Array; spki: Uint8Array; names: GeneralNames } {
  const version = decodeSmallInteger(info.integer());
  if (version !== 0) throw refuse('CSR', `version ${version}, want 0`);
  const subject = info.whole(tags.sequence);
  checkName(subject);
  const spki = info.whole(tags.sequence);
  const names = info.done ? noGeneralNames() : readAttributes(info.inside(contextConstructed(0)));
  info.finish();
  return { subject, spki, names };
}

/** Only the requested alternative names are read; an attribute or extension that we do not know asks for nothing. */
function readAttributes(attributes: DerReader): GeneralNames {
  let names: GeneralNames | undefined;
  while (!attributes.done) {
    const attribute = attributes.sequence();
    const oid = attribute.oid();
    const values = attribute.inside(tags.set);
    attribute.finish();
    if (oid !== extensionRequestOid) continue;
    if (names !== undefined) throw refuse('CSR', 'two requests for extensions');
    const extensions = parseExtensions(values.sequence());
    values.finish();
    const alternative = extensions.find((extension) => extension.oid === extensionOids.subjectAltName);
    names = alternative === undefined ? noGeneralNames() : parseGeneralNames(alternative.value);
  }
  return names ?? noGeneralNames();
}

function encodeAttributes(dnsNames: readonly string[], uris: readonly string[]): Uint8Array[] {
  if (dnsNames.length + uris.length === 0) return [];
  const alternative = encodeExtension(extensionOids.subjectAltName, false, encodeGeneralNames({ dnsNames, uris }));
  return [sequence(encodeOid(extensionRequestOid), setOf(sequence(alternative)))];
}

/** Encoding errors inside are errors of the request. */
function namingCsr<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const encoding = cause instanceof PkiError && (cause.code === 'DER' || cause.code === 'CERTIFICATE');
    throw encoding ? refuse('CSR', `request does not decode: ${cause.message}`, cause) : cause;
  }
}
