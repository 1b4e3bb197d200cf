// Reads DER and nothing looser: definite, minimal lengths and one-byte tags (X.690 §10). Callers walk a known structure, so depth is
// bounded by their code: nothing here recurses.
import { refuse } from '../errors.ts';
import { decodeOid } from './oid.ts';
import { tags } from './tags.ts';

export interface DerElement {
  readonly tag: number;
  /** Tag, length and content. */
  readonly bytes: Uint8Array;
  readonly content: Uint8Array;
}

export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#offset === this.#end;
  }

  /** The tag of the next element; undefined at the end. */
  get nextTag(): number | undefined {
    return this.done ? undefined : this.#bytes[this.#offset];
  }

  element(): DerElement {
    const start = this.#offset;
    const contentStart = this.#pass();
    return {
      tag: this.#bytes[start] ?? 0,
      bytes: this.#bytes.subarray(start, this.#offset),
      content: this.#bytes.subarray(contentStart, this.#offset),
    };
  }

  /** Passes over the next element, whatever it holds. */
  skip(): void {
    this.#pass();
  }

  /** The content of the next element, which must have this tag. */
  content(tag: number): Uint8Array {
    this.#expect(tag);
    const contentStart = this.#pass();
    return this.#bytes.subarray(contentStart, this.#offset);
  }

  /** The next element with its tag and length, which must have this tag. */
  whole(tag: number): Uint8Array {
    this.#expect(tag);
    const start = this.#offset;
    this.#pass();
    return this.#bytes.subarray(start, this.#offset);
  }

  /** A reader of the next element's content, which must have this tag. */
  inside(tag: number): DerReader {
    this.#expect(tag);
    const contentStart = this.#pass();
    return new DerReader(this.#bytes, contentStart, this.#offset);
  }

  sequence(): DerReader {
    return this.inside(tags.sequence);
  }

  /** Two's complement, big endian, as encoded. */
  integer(): Uint8Array {
    return checkInteger(this.content(tags.integer));
  }

  /** An object identifier in its dotted form. */
  oid(): string {
    this.#expect(tags.objectIdentifier);
    const contentStart = this.#pass();
    return decodeOid(this.#bytes, contentStart, this.#offset);
  }

  boolean(): boolean {
    return decodeBoolean(this.content(tags.boolean));
  }

  /** A bit string of whole bytes, as keys and signatures are. */
  bitString(): Uint8Array {
    const content = this.content(tags.bitString);
    if (content[0] !== 0) throw refuse('DER', 'bit string is not of whole bytes');
    return content.subarray(1);
  }

  null(): void {
    if (this.content(tags.null).length !== 0) throw refuse('DER', 'null has content');
  }

  /** Refuses bytes after the last element. */
  finish(): void {
    if (!this.done) throw refuse('DER', `${this.#end - this.#offset} bytes after the last element`);
  }

  /** Moves behind the next element; returns where its content starts. */
  #pass(): number {
    const start = this.#offset;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw refuse('DER', `tag number above 30 at byte ${start}`);
    if (tag === 0) throw refuse('DER', `end-of-contents tag at byte ${start}`);
    const length = this.#length();
    const contentStart = this.#offset;
    if (contentStart + length > this.#end) throw refuse('DER', `length ${length} at byte ${start} passes the end`);
    this.#offset = contentStart + length;
    return contentStart;
  }

  #expect(tag: number): void {
    if (this.nextTag === tag) return;
    const found = this.nextTag === undefined ? 'the end' : `tag 0x${this.nextTag.toString(16)}`;
    throw refuse('DER', `found ${found} at byte ${this.#offset}, want tag 0x${tag.toString(16)}`);
  }

  #byte(): number {
    const byte = this.nextTag;
    if (byte === undefined) throw refuse('DER', `cut short at byte ${this.#offset}`);
    this.#offset += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0) throw refuse('DER', 'indefinite length');
    if (count > 3) throw refuse('DER', `length of ${count} bytes, at most 3 are read`);
    let length = 0;
    for (let index = 0; index < count; index += 1) length = (length << 8) | this.#byte();
    const least = count === 1 ? 0x80 : 1 << (8 * (count - 1));
    if (length < least) throw refuse('DER', 'length is not minimal');
    return length;
  }
}

/** Reads a structure that must be all of `der`. */
export function readWhole<T>(der: Uint8Array, read: (reader: DerReader) => T): T {
  const reader = new DerReader(der);
  const value = read(reader);
  reader.finish();
  return value;
}

export function checkInteger(content: Uint8Array): Uint8Array {
  const [first, second] = content;
  if (first === undefined) throw refuse('DER', 'integer is empty');
  const padded = second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (padded) throw refuse('DER', 'integer is not minimal');
  return content;
}

export function decodeBoolean(content: Uint8Array): boolean {
  if (content.length !== 1) throw refuse('DER', `boolean of ${content.length} bytes`);
  if (content[0] === 0xff) return true;
  if (content[0] === 0) return false;
  throw refuse('DER', 'boolean is neither 0 nor 255');
}

/** A non-negative integer that fits a number, such as a path length. */
export function decodeSmallInteger(content: Uint8Array): number {
  checkInteger(content);
  if (content.length > 4 || (content[0] ?? 0) >= 0x80) throw refuse('DER', 'integer is negative or too large');
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** Named bits, the first one first, as in KeyUsage: trailing zero bits must be left out (X.690 §11.2.2). */
export function decodeNamedBits(content: Uint8Array): boolean[] {
  const unused = content[0];
  if (unused === undefined || unused > 7) throw refuse('DER', 'bit string without a count of unused bits');
  if (content.length === 1) {
    if (unused > 0) throw refuse('DER', 'empty bit string has unused bits');
    return [];
  }
  const last = content.at(-1) ?? 0;
  if ((last & ((1 << unused) - 1)) !== 0) throw refuse('DER', 'unused bits are set');
  if ((last & (1 << unused)) === 0) throw refuse('DER', 'named bits end in a zero bit');
  const bits: boolean[] = [];
  for (const byte of content.subarray(1)) for (let bit = 7; bit >= 0; bit -= 1) bits.push((byte & (1 << bit)) !== 0);
  return bits;
}
