// Distinguished names: written in the order and string types that Go's tools use, so that our names are byte-equal to SPIRE's.
import { encodeOid } from './der/oid.ts';
import { readWhole } from './der/reader.ts';
import type { DerElement, DerReader } from './der/reader.ts';
import { tags } from './der/tags.ts';
import { asciiBytes, element, sequence, setOf } from './der/writer.ts';
import { refuse } from './errors.ts';

/** In the order in which they are written; names with several values have them in one set. */
const attributes = [
  ['country', '2.5.4.6', 'C'],
  ['organization', '2.5.4.10', 'O'],
  ['organizationalUnit', '2.5.4.11', 'OU'],
  ['locality', '2.5.4.7', 'L'],
  ['province', '2.5.4.8', 'ST'],
  ['streetAddress', '2.5.4.9', 'STREET'],
  ['postalCode', '2.5.4.17', 'POSTALCODE'],
  ['commonName', '2.5.4.3', 'CN'],
  ['serialNumber', '2.5.4.5', 'SERIALNUMBER'],
] as const;

export type NameField = (typeof attributes)[number][0];

/** A name by its usual attributes; others are not kept, as in Go. */
export type NameFields = { readonly [field in NameField]?: string | readonly string[] };

interface Attribute {
  readonly oid: string;
  readonly value: DerElement;
}

export function encodeName(fields: NameFields): Uint8Array {
  const sets = attributes.flatMap(([field, oid]) => {
    const values = valuesOf(fields[field]);
    return values.length === 0 ? [] : [setOf(...values.map((value) => sequence(encodeOid(oid), encodeText(value))))];
  });
  return sequence(...sets);
}

export function decodeName(der: Uint8Array): NameFields {
  const found = new Map<NameField, string[]>();
  for (const { oid, value } of parseName(der).flat()) {
    const field = attributes.find(([, known]) => known === oid)?.[0];
    const text = decodeText(value);
    if (field !== undefined && text !== undefined) found.set(field, [...(found.get(field) ?? []), text]);
  }
  return Object.fromEntries(found);
}

/** As Go prints it: the last attribute first, `CN=a,O=b,C=c`. */
export function nameText(der: Uint8Array): string {
  return parseName(der)
    .reverse()
    .map((set) => set.map(attributeText).join('+'))
    .join(',');
}

/** Refuses what is not a name; what its attributes say is not looked at. */
export function checkName(der: Uint8Array): void {
  readWhole(der, (reader) => {
    const name = reader.sequence();
    while (!name.done) {
      const set = name.inside(tags.set);
      checkNotEmpty(set);
      while (!set.done) {
        const attribute = set.sequence();
        attribute.oid();
        attribute.skip();
        attribute.finish();
      }
    }
  });
}

function parseName(der: Uint8Array): Attribute[][] {
  return readWhole(der, (reader) => {
    const name = reader.sequence();
    const sets: Attribute[][] = [];
    while (!name.done) sets.push(parseAttributes(name.inside(tags.set)));
    return sets;
  });
}

function parseAttributes(set: DerReader): Attribute[] {
  checkNotEmpty(set);
  const found: Attribute[] = [];
  while (!set.done) {
    const attribute = set.sequence();
    found.push({ oid: attribute.oid(), value: attribute.element() });
    attribute.finish();
  }
  return found;
}

function checkNotEmpty(set: DerReader): void {
  if (set.done) throw refuse('DER', 'name has an empty set of attributes');
}

function valuesOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined || value === '') return [];
  return typeof value === 'string' ? [value] : value;
}

function encodeText(text: string): Uint8Array {
  if (/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) return element(tags.printableString, asciiBytes(text));
  return element(tags.utf8String, Uint8Array.from(Buffer.from(text, 'utf8')));
}

/** Undefined for a value that is no text. */
function decodeText({ tag, content }: DerElement): string | undefined {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  if (tag === tags.utf8String || tag === tags.printableString) return bytes.toString('utf8');
  if (tag === tags.ia5String || tag === tags.teletexString) return bytes.toString('latin1');
  if (tag === tags.bmpString && bytes.length % 2 === 0) return Buffer.from(bytes).swap16().toString('utf16le');
  return undefined;
}

function attributeText({ oid, value }: Attribute): string {
  const type = attributes.find(([, known]) => known === oid)?.[2];
  const text = decodeText(value);
  if (type === undefined || text === undefined) return `${type ?? oid}=#${Buffer.from(value.bytes).toString('hex')}`;
  return `${type}=${escapeText(text)}`;
}

/** RFC 2253 §2.4. */
function escapeText(text: string): string {
  return text.replaceAll(/[,+"\\<>;]|^[ #]| $/g, (character) => `\\${character}`);
}
