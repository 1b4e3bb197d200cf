// How single settings are read. As in HCL1, a number may stand for its text and a text for its number or boolean; nothing else is bent.
// Each throws with the reason alone; the reader knows the place.
import { parseDuration } from '../spiffe/duration.ts';
import type { HclValue } from './value.ts';

export function readString(value: HclValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw new Error(`must be a string, is ${describe(value)}`);
}

export function readNumber(value: HclValue): number {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number)) return number;
  throw new Error(`must be a whole number, is ${describe(value)}`);
}

export function readBoolean(value: HclValue): boolean {
  if (typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  throw new Error(`must be true or false, is ${describe(value)}`);
}

export function readDuration(value: HclValue): number {
  if (typeof value !== 'string') throw new Error(`must be a duration such as "1h30m", is ${describe(value)}`);
  return parseDuration(value);
}

export function readStrings(value: HclValue): readonly string[] {
  if (!Array.isArray(value)) throw new Error(`must be a list of strings, is ${describe(value)}`);
  return value.map(readString);
}

function describe(value: HclValue): string {
  if (Array.isArray(value)) return 'a list or a block';
  return typeof value === 'object' ? 'a block' : JSON.stringify(value);
}
