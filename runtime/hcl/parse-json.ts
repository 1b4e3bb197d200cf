// HCL1's other spelling: JSON, which a file is when it begins with `{`. The values are those that the same configuration has in HCL, so an object is
// a block: a list of one. Stricter than HCL1, which takes some text that is no JSON: as in HCL, a key that is set twice is refused, and so is null.
import type { HclSource } from './errors.ts';
import { addItem, maxDepth } from './items.ts';
import type { Items } from './items.ts';
import type { HclObject, HclValue } from './value.ts';

interface Reader {
  readonly source: HclSource;
  offset: number;
}

const blank = /[ \t\n\r]*/y;
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\p{L}\p{Nd}_.])/uy;
const word = /[a-z]+/y;

export function isJson(text: string): boolean {
  return /^\s*\{/.test(text);
}

export function parseJson(source: HclSource): HclObject {
  const reader: Reader = { source, offset: 0 };
  skipBlank(reader);
  const object = readObject(reader, 0);
  skipBlank(reader);
  if (reader.offset < source.text.length) throw source.errorAt(reader.offset, 'expected the end of the file');
  return object;
}

function readObject(reader: Reader, depth: number): HclObject {
  const { source } = reader;
  if (depth > maxDepth) throw source.errorAt(reader.offset, `nested deeper than ${maxDepth} levels`);
  reader.offset += 1;
  const items: Items = { values: new Map(), blocks: new Map() };
  skipBlank(reader);
  while (!take(reader, '}')) {
    if (items.values.size > 0 && !take(reader, ','))
      throw source.errorAt(reader.offset, 'expected , or } in an object');
    skipBlank(reader);
    const at = reader.offset;
    const key = readString(reader, 'a key in double quotes');
    skipBlank(reader);
    if (!take(reader, ':')) throw source.errorAt(reader.offset, `expected : after ${JSON.stringify(key)}`);
    const value = readValue(reader, depth);
    addItem(source, items, at, [key], value);
    skipBlank(reader);
  }
  return Object.fromEntries(items.values);
}

function readValue(reader: Reader, depth: number): HclValue {
  skipBlank(reader);
  const { source, offset } = reader;
  const character = source.text.charAt(offset);
  if (character === '{') return readObject(reader, depth + 1);
  if (character === '[') return readList(reader, depth + 1);
  if (character === '"') return readString(reader, 'a value');
  const digits = match(reader, number);
  if (digits !== undefined) return checkNumber(source, offset, digits);
  const found = match(reader, word);
  if (found === 'true' || found === 'false') return found === 'true';
  throw source.errorAt(offset, found === 'null' ? 'null says nothing: leave the key out' : 'expected a value');
}

function readList(reader: Reader, depth: number): HclValue[] {
  const { source } = reader;
  if (depth > maxDepth) throw source.errorAt(reader.offset, `nested deeper than ${maxDepth} levels`);
  reader.offset += 1;
  const list: HclValue[] = [];
  skipBlank(reader);
  while (!take(reader, ']')) {
    if (list.length > 0 && !take(reader, ',')) throw source.errorAt(reader.offset, 'expected , or ] in a list');
    list.push(readValue(reader, depth));
    skipBlank(reader);
  }
  return list;
}

function readString(reader: Reader, expected: string): string {
  const { source, offset } = reader;
  const text = match(reader, string);
  if (text === undefined) throw source.errorAt(offset, `expected ${expected}`);
  return JSON.parse(text) as string;
}

function checkNumber(source: HclSource, offset: number, digits: string): number {
  const value = Number(digits);
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
    throw source.errorAt(offset, `number ${digits} is out of range`);
  }
  return value;
}

function skipBlank(reader: Reader): void {
  match(reader, blank);
}

function take(reader: Reader, character: string): boolean {
  if (reader.source.text.charAt(reader.offset) !== character) return false;
  reader.offset += 1;
  return true;
}

function match(reader: Reader, pattern: RegExp): string | undefined {
  pattern.lastIndex = reader.offset;
  const found = pattern.exec(reader.source.text)?.[0];
  reader.offset += found?.length ?? 0;
  return found;
}
