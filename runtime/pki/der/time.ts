// Certificate times, to the second and in UTC (RFC 5280 §4.1.2.5): UTCTime through 2049, GeneralizedTime from 2050 on.
import { refuse } from '../errors.ts';
import type { DerElement, DerReader } from './reader.ts';
import { tags } from './tags.ts';

const zero = 0x30;
const zulu = 0x5a;
/** Of month, day, hour, minute and second. */
const restDigits = 10;

/** The next element, as epoch milliseconds. */
export function readTime(reader: DerReader): number {
  const tag = reader.nextTag ?? tags.utcTime;
  return decodeTime({ tag, content: reader.content(tag) });
}

/** Epoch milliseconds. */
export function decodeTime({ tag, content }: Pick<DerElement, 'tag' | 'content'>): number {
  if (tag === tags.utcTime) {
    if (!isTime(content, 2)) throw refuse('DER', 'UTCTime is not YYMMDDHHMMSSZ');
    const year = pairAt(content, 0);
    return epochOf(year < 50 ? 2000 + year : 1900 + year, content, 2);
  }
  if (tag === tags.generalizedTime) {
    if (!isTime(content, 4)) throw refuse('DER', 'GeneralizedTime is not YYYYMMDDHHMMSSZ');
    const year = pairAt(content, 0) * 100 + pairAt(content, 2);
    if (year >= 1950 && year < 2050) throw refuse('DER', `GeneralizedTime for ${year}, want UTCTime`);
    return epochOf(year, content, 4);
  }
  throw refuse('DER', `found tag 0x${tag.toString(16)}, want a time`);
}

function isTime(content: Uint8Array, yearDigits: number): boolean {
  const digits = yearDigits + restDigits;
  if (content.length !== digits + 1 || content[digits] !== zulu) return false;
  for (let at = 0; at < digits; at += 1) {
    const digit = (content[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) return false;
  }
  return true;
}

function pairAt(content: Uint8Array, at: number): number {
  return ((content[at] ?? zero) - zero) * 10 + (content[at + 1] ?? zero) - zero;
}

function epochOf(year: number, content: Uint8Array, at: number): number {
  const [month, day, hour] = [pairAt(content, at), pairAt(content, at + 2), pairAt(content, at + 4)];
  const [minute, second] = [pairAt(content, at + 6), pairAt(content, at + 8)];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const overflowed =
    date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59;
  if (overflowed) throw refuse('DER', `no such time: ${Buffer.from(content).toString('latin1')}`);
  return date.getTime();
}

/** Fractions of a second are dropped: the encoding has none. */
export function encodeTime(epochMs: number): Uint8Array {
  const date = new Date(epochMs);
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw refuse('PROFILE', `year ${year} is outside 1950 to 9999`);
  const isUtcTime = year < 2050;
  const yearDigits = isUtcTime ? 2 : 4;
  const length = yearDigits + restDigits + 1;
  const whole = new Uint8Array(2 + length);
  whole[0] = isUtcTime ? tags.utcTime : tags.generalizedTime;
  whole[1] = length;
  if (!isUtcTime) writePair(whole, 2, Math.floor(year / 100));
  const at = yearDigits;
  writePair(whole, at, year % 100);
  writePair(whole, at + 2, date.getUTCMonth() + 1);
  writePair(whole, at + 4, date.getUTCDate());
  writePair(whole, at + 6, date.getUTCHours());
  writePair(whole, at + 8, date.getUTCMinutes());
  writePair(whole, at + 10, date.getUTCSeconds());
  whole[at + 12] = zulu;
  return whole;
}

function writePair(whole: Uint8Array, at: number, value: number): void {
  whole[at] = zero + Math.floor(value / 10);
  whole[at + 1] = zero + (value % 10);
}
