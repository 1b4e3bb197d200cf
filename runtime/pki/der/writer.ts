// Writes DER: each function returns one element with its tag and length.
import { tags } from './tags.ts';

/** An element that is not written yet: its parts are bytes, or elements like it. */
export interface DerTree {
  readonly tag: number;
  readonly parts: readonly DerPart[];
  /** Of the content. */
  readonly length: number;
}

export type DerPart = Uint8Array | DerTree;

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export function element(tag: number, ...parts: readonly DerPart[]): Uint8Array {
  return encodeTree(tree(tag, ...parts));
}

/** A part of something large, which is written once and in one piece: bytes of bytes of bytes would each be copied at every level. */
export function tree(tag: number, ...parts: readonly DerPart[]): DerTree {
  let length = 0;
  for (const part of parts) length += sizeOf(part);
  return { tag, parts, length };
}

export function encodeTree(root: DerTree): Uint8Array {
  const whole = new Uint8Array(sizeOf(root));
  writeTree(whole, 0, root);
  return whole;
}

function sizeOf(part: DerPart): number {
  return part instanceof Uint8Array ? part.length : headerLength(part.length) + part.length;
}

/** Returns where it ends. */
function writeTree(whole: Uint8Array, start: number, { tag, parts, length }: DerTree): number {
  let offset = start + headerLength(length);
  whole[start] = tag;
  writeLength(whole, start, offset, length);
  for (const part of parts) {
    if (part instanceof Uint8Array) {
      whole.set(part, offset);
      offset += part.length;
    } else offset = writeTree(whole, offset, part);
  }
  return offset;
}

function headerLength(length: number): number {
  if (length < 0x80) return 2;
  if (length < 0x100) return 3;
  return length < 0x10000 ? 4 : 5;
}

/** Fills the header's bytes between the tag and the content. */
function writeLength(whole: Uint8Array, start: number, headerEnd: number, length: number): void {
  const size = headerEnd - start;
  whole[start + 1] = size === 2 ? length : 0x80 | (size - 2);
  for (let at = start + 2; at < headerEnd; at += 1) whole[at] = length >>> (8 * (headerEnd - 1 - at));
}

export function sequence(...parts: readonly DerPart[]): Uint8Array {
  return element(tags.sequence, ...parts);
}

/** DER orders the elements of a SET OF by their bytes (X.690 §11.6). */
export function setOf(...parts: readonly Uint8Array[]): Uint8Array {
  return element(tags.set, ...[...parts].sort((a, b) => Buffer.compare(a, b)));
}

/** A non-negative integer from big-endian bytes of any width. */
export function integer(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const digits = magnitude.subarray(start);
  const needsSign = digits.length === 0 || (digits[0] ?? 0) >= 0x80;
  return element(tags.integer, needsSign ? new Uint8Array(1) : new Uint8Array(0), digits);
}

export function smallInteger(value: number): Uint8Array {
  return integer(Uint8Array.of((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff));
}

export function boolean(value: boolean): Uint8Array {
  return element(tags.boolean, Uint8Array.of(value ? 0xff : 0));
}

export function octetString(bytes: Uint8Array): Uint8Array {
  return element(tags.octetString, bytes);
}

/** A bit string of whole bytes. */
export function bitString(bytes: Uint8Array): Uint8Array {
  return element(tags.bitString, new Uint8Array(1), bytes);
}

/** Named bits, the first one first; trailing zero bits are left out. */
export function namedBits(bits: readonly boolean[]): Uint8Array {
  const count = bits.lastIndexOf(true) + 1;
  const bytes = new Uint8Array(Math.ceil(count / 8));
  for (let index = 0; index < count; index += 1) {
    if (bits[index] === true) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (0x80 >> (index & 7));
  }
  return element(tags.bitString, Uint8Array.of(bytes.length * 8 - count), bytes);
}

export function derNull(): Uint8Array {
  return Uint8Array.of(tags.null, 0);
}

export function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}
