// Object identifiers between their dotted text and their bytes, with limits: an arc that overflows a number has fooled other readers.
import { refuse } from '../errors.ts';
import { tags } from './tags.ts';
import { element } from './writer.ts';

const maxBytes = 64;
const maxArcBytes = 7;

/** 2.5.x.y with small arcs, as name attributes and extensions have: three bytes, read too often to put them together each time. */
const directoryOids = new Map<number, string>();
for (const arc of [4, 29])
  for (let last = 0; last < 0x80; last += 1) directoryOids.set((arc << 8) | last, `2.5.${arc}.${last}`);

/** `2.5.29.17` from the content of an OBJECT IDENTIFIER, which is all of the bytes or a part of them. */
export function decodeOid(bytes: Uint8Array, start = 0, end = bytes.length): string {
  const length = end - start;
  if (length === 3 && bytes[start] === 0x55) {
    const known = directoryOids.get(((bytes[start + 1] ?? 0) << 8) | (bytes[start + 2] ?? 0));
    if (known !== undefined) return known;
  }
  if (length === 0 || length > maxBytes) throw refuse('DER', `object identifier of ${length} bytes`);
  let dotted = '';
  let arc = 0;
  let width = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (width === 0 && byte === 0x80) throw refuse('DER', 'object identifier arc is not minimal');
    width += 1;
    if (width > maxArcBytes) throw refuse('DER', 'object identifier arc is too large');
    arc = arc * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    dotted += dotted === '' ? firstArcs(arc) : `.${arc}`;
    arc = 0;
    width = 0;
  }
  if (width > 0) throw refuse('DER', 'object identifier is cut short');
  return dotted;
}

/** The first two arcs share a number (X.690 §8.19.4). */
function firstArcs(both: number): string {
  const root = Math.min(Math.floor(both / 40), 2);
  return `${root}.${both - 40 * root}`;
}

const encoded = new Map<string, Uint8Array>();

/** The whole element for a dotted identifier that we wrote ourselves: there are few, so each is made once. */
export function encodeOid(dotted: string): Uint8Array {
  const known = encoded.get(dotted);
  if (known !== undefined) return known;
  const fresh = elementOf(dotted);
  encoded.set(dotted, fresh);
  return fresh;
}

function elementOf(dotted: string): Uint8Array {
  const [root = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(tags.objectIdentifier, Uint8Array.from([root * 40 + second, ...rest].flatMap(encodeArc)));
}

function encodeArc(arc: number): number[] {
  const digits = [arc & 0x7f];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}
