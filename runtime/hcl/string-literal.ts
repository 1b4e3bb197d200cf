// HCL1's quoted strings. What stands in `${…}` is kept as it is, quotes and backslashes included: it belongs to whoever reads the value.
import type { HclSource } from './errors.ts';

const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
]);

const numericEscape = /\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;

/** The string whose opening quote is at the offset. */
export function readString(source: HclSource, offset: number): { readonly value: string; readonly end: number } {
  const { text } = source;
  let value = '';
  let at = offset + 1;
  for (;;) {
    const character = text.charAt(at);
    if (character === '"') return { value, end: at + 1 };
    if (character === '' || character === '\n') throw source.errorAt(offset, 'string is not terminated');
    if (character === '\0') throw source.errorAt(at, 'string has a null character');
    const part = character === '\\' ? readEscape(source, at) : readPlain(source, offset, at);
    value += part.value;
    at = part.end;
  }
}

function readPlain(source: HclSource, start: number, at: number): { value: string; end: number } {
  if (!source.text.startsWith('${', at)) return { value: source.text.charAt(at), end: at + 1 };
  let depth = 1;
  for (let end = at + 2; end < source.text.length; end++) {
    const character = source.text.charAt(end);
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    if (depth === 0) return { value: source.text.slice(at, end + 1), end: end + 1 };
  }
  throw source.errorAt(start, 'string is not terminated');
}

function readEscape(source: HclSource, at: number): { value: string; end: number } {
  const simple = simpleEscapes.get(source.text.charAt(at + 1));
  if (simple !== undefined) return { value: simple, end: at + 2 };
  numericEscape.lastIndex = at;
  const [escape, octal, byte, short, long] = numericEscape.exec(source.text) ?? [];
  if (escape === undefined) throw source.errorAt(at, 'unknown escape in string');
  const code = octal === undefined ? Number.parseInt(byte ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8);
  const isByte = octal !== undefined || byte !== undefined;
  // A byte above 127 is no character by itself, nor is half a surrogate pair.
  if ((isByte && code > 0x7f) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw source.errorAt(at, `escape ${escape} is not a character`);
  }
  return { value: String.fromCodePoint(code), end: at + escape.length };
}
