// GeneralNames, the content of a subject alternative name (RFC 5280 §4.2.1.6), read from bytes: names printed as text have fooled others.
import { checkName } from './distinguished-name.ts';
import type { DerReader } from './der/reader.ts';
import { readWhole } from './der/reader.ts';
import { contextConstructed, contextPrimitive, tags } from './der/tags.ts';
import type { DerTree } from './der/writer.ts';
import { asciiBytes, tree } from './der/writer.ts';
import { refuse } from './errors.ts';

export const generalNameTags = {
  email: contextPrimitive(1),
  dns: contextPrimitive(2),
  directory: contextConstructed(4),
  uri: contextPrimitive(6),
  ip: contextPrimitive(7),
} as const;

export interface GeneralNames {
  readonly uris: string[];
  readonly dnsNames: string[];
  readonly emails: string[];
  readonly ipAddresses: Uint8Array[];
  /** Each a whole Name. */
  readonly directoryNames: Uint8Array[];
}

export function noGeneralNames(): GeneralNames {
  return { uris: [], dnsNames: [], emails: [], ipAddresses: [], directoryNames: [] };
}

export function parseGeneralNames(der: Uint8Array): GeneralNames {
  return readWhole(der, (reader) => {
    const list = reader.sequence();
    const names = noGeneralNames();
    if (list.done) throw refuse('CERTIFICATE', 'subject alternative name is empty');
    while (list.nextTag !== undefined) addGeneralName(names, list);
    return names;
  });
}

function addGeneralName(names: GeneralNames, reader: DerReader): void {
  const tag = reader.nextTag ?? 0;
  const content = reader.content(tag);
  switch (tag) {
    case generalNameTags.uri:
      names.uris.push(decodeIa5(content));
      return;
    case generalNameTags.dns:
      names.dnsNames.push(decodeIa5(content));
      return;
    case generalNameTags.email:
      names.emails.push(decodeIa5(content));
      return;
    case generalNameTags.ip:
      names.ipAddresses.push(checkIpAddress(content));
      return;
    case generalNameTags.directory:
      checkName(content);
      names.directoryNames.push(content);
      return;
    default:
      // otherName, x400Address, ediPartyName and registeredID mean nothing to us; any other tag is not a GeneralName.
      if (![contextConstructed(0), contextConstructed(3), contextConstructed(5), contextPrimitive(8)].includes(tag)) {
        throw refuse('CERTIFICATE', `general name with tag 0x${tag.toString(16)}`);
      }
  }
}

function checkIpAddress(content: Uint8Array): Uint8Array {
  if (content.length === 4 || content.length === 16) return content;
  throw refuse('CERTIFICATE', `IP address of ${content.length} bytes`);
}

export function decodeIa5(content: Uint8Array): string {
  for (const byte of content)
    if (byte < 0x20 || byte > 0x7e) throw refuse('CERTIFICATE', `name has the byte 0x${byte.toString(16)}`);
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
}

/** DNS names first, as Go writes them. */
export function encodeGeneralNames({
  dnsNames,
  uris,
}: {
  dnsNames: readonly string[];
  uris: readonly string[];
}): DerTree {
  return tree(
    tags.sequence,
    ...dnsNames.map((name) => tree(generalNameTags.dns, encodeIa5(name))),
    ...uris.map((uri) => tree(generalNameTags.uri, encodeIa5(uri))),
  );
}

function encodeIa5(text: string): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(text)) throw refuse('PROFILE', `name "${text}" is empty or not printable ASCII`);
  return asciiBytes(text);
}
