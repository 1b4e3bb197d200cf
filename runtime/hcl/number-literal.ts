// HCL1's numbers: decimal, hexadecimal (`0x1f`), octal (`017`) and decimal fractions with exponents.
import type { HclSource } from './errors.ts';

const literal = /-?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)/y;
const wordCharacter = /[\p{L}\p{Nd}_.]/uy;

/** The number at the offset, where a digit stands. */
export function readNumber(source: HclSource, offset: number): { readonly value: number; readonly end: number } {
  literal.lastIndex = offset;
  const text = literal.exec(source.text)?.[0] ?? '';
  const end = offset + text.length;
  wordCharacter.lastIndex = end;
  // HCL1 would take `5m` for the number 5 and a key `m`, and complain about the line below.
  if (text === '' || wordCharacter.test(source.text)) {
    throw source.errorAt(offset, 'number is followed by other characters (a duration or an address needs quotes)');
  }
  const value = valueOf(text);
  if (value === undefined) throw source.errorAt(offset, `illegal octal number ${text}`);
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
    throw source.errorAt(offset, `number ${text} is out of range`);
  }
  return { value, end };
}

function valueOf(text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = sign === -1 ? text.slice(1) : text;
  const magnitude = /^0[0-9]+$/.test(digits) ? octalOf(digits) : Number(digits);
  if (magnitude === undefined) return undefined;
  return magnitude === 0 ? 0 : sign * magnitude;
}

function octalOf(digits: string): number | undefined {
  return /[89]/.test(digits) ? undefined : Number.parseInt(digits, 8);
}
