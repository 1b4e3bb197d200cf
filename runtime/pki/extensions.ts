// The extensions of a certificate (RFC 5280 §4.2): those we understand become values, the others stay bytes and keep their critical flag.
import { encodeOid } from './der/oid.ts';
import type { DerReader } from './der/reader.ts';
import { decodeBoolean, decodeSmallInteger, readWhole } from './der/reader.ts';
import { contextConstructed, contextPrimitive, tags } from './der/tags.ts';
import type { DerPart, DerTree } from './der/writer.ts';
import { boolean, sequence, tree } from './der/writer.ts';
import { refuse } from './errors.ts';
import { noGeneralNames, parseGeneralNames } from './general-names.ts';
import type { GeneralNames } from './general-names.ts';
import { noKeyUsage, parseKeyUsage } from './key-usage.ts';
import type { KeyUsage } from './key-usage.ts';
import { extensionOids } from './oids.ts';

const maxExtensions = 64;

export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

export interface BasicConstraints {
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
}

export interface KnownExtensions extends BasicConstraints {
  readonly keyUsage: KeyUsage;
  /** Purposes as dotted identifiers; undefined without the extension. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly names: GeneralNames;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
}

/** Reads a SEQUENCE OF Extension; refuses the same extension twice. */
export function parseExtensions(list: DerReader): Extension[] {
  const extensions: Extension[] = [];
  while (!list.done) {
    const extension = list.sequence();
    const oid = extension.oid();
    const critical = extension.nextTag === tags.boolean && extension.boolean();
    const value = extension.content(tags.octetString);
    extension.finish();
    if (extensions.some((other) => other.oid === oid)) throw refuse('CERTIFICATE', `extension ${oid} occurs twice`);
    if (extensions.length === maxExtensions) throw refuse('CERTIFICATE', `more than ${maxExtensions} extensions`);
    extensions.push({ oid, critical, value });
  }
  if (extensions.length === 0) throw refuse('CERTIFICATE', 'list of extensions is empty');
  return extensions;
}

export function readKnownExtensions(extensions: readonly Extension[]): KnownExtensions {
  const read = <T>(oid: string, parse: (value: Uint8Array, critical: boolean) => T): T | undefined => {
    const found = extensions.find((extension) => extension.oid === oid);
    return found === undefined ? undefined : parse(found.value, found.critical);
  };
  return {
    ...(read(extensionOids.basicConstraints, parseBasicConstraints) ?? { isCa: false, pathLength: undefined }),
    keyUsage: read(extensionOids.keyUsage, parseKeyUsage) ?? noKeyUsage,
    extendedKeyUsage: read(extensionOids.extendedKeyUsage, parseExtendedKeyUsage),
    names: read(extensionOids.subjectAltName, parseGeneralNames) ?? noGeneralNames(),
    subjectKeyId: read(extensionOids.subjectKeyId, parseSubjectKeyId),
    authorityKeyId: read(extensionOids.authorityKeyId, parseAuthorityKeyId),
  };
}

export function encodeExtension(oid: string, critical: boolean, value: DerPart): DerTree {
  const wrapped = tree(tags.octetString, value);
  return critical
    ? tree(tags.sequence, encodeOid(oid), boolean(true), wrapped)
    : tree(tags.sequence, encodeOid(oid), wrapped);
}

export function encodeBasicConstraints(isCa: boolean): Uint8Array {
  return isCa ? sequence(boolean(true)) : sequence();
}

export function encodeExtendedKeyUsage(purposes: readonly string[]): Uint8Array {
  return sequence(...purposes.map(encodeOid));
}

export function encodeAuthorityKeyId(keyId: Uint8Array): DerTree {
  return tree(tags.sequence, tree(contextPrimitive(0), keyId));
}

function parseBasicConstraints(der: Uint8Array): BasicConstraints {
  return readWhole(der, (reader) => {
    const fields = reader.sequence();
    const isCa = fields.nextTag === tags.boolean && decodeBoolean(fields.content(tags.boolean));
    const pathLength = fields.done ? undefined : decodeSmallInteger(fields.content(tags.integer));
    fields.finish();
    if (pathLength !== undefined && !isCa) throw refuse('CERTIFICATE', 'path length without the CA flag');
    return { isCa, pathLength };
  });
}

function parseExtendedKeyUsage(der: Uint8Array): string[] {
  return readWhole(der, (reader) => {
    const list = reader.sequence();
    const purposes: string[] = [];
    while (!list.done) purposes.push(list.oid());
    if (purposes.length === 0) throw refuse('CERTIFICATE', 'extended key usage is empty');
    return purposes;
  });
}

function parseSubjectKeyId(der: Uint8Array): Uint8Array {
  return readWhole(der, (reader) => checkKeyId(reader.content(tags.octetString)));
}

/** Only the key identifier is used; the issuer's name and serial number are skipped. */
function parseAuthorityKeyId(der: Uint8Array): Uint8Array | undefined {
  return readWhole(der, (reader) => {
    const fields = reader.sequence();
    const keyId = fields.nextTag === contextPrimitive(0) ? checkKeyId(fields.content(contextPrimitive(0))) : undefined;
    if (fields.nextTag === contextConstructed(1)) fields.skip();
    if (fields.nextTag === contextPrimitive(2)) fields.skip();
    fields.finish();
    return keyId;
  });
}

function checkKeyId(keyId: Uint8Array): Uint8Array {
  if (keyId.length === 0 || keyId.length > 64) throw refuse('CERTIFICATE', `key identifier of ${keyId.length} bytes`);
  return keyId;
}
