// Certificate times, to the second and in UTC (RFC 5280 §4.1.2.5): UTCTime through 2049, GeneralizedTime from 2050 on.
import { refuse } from '../errors.ts';
import type { DerElement } from './reader.ts';
import { tags } from './tags.ts';
import { asciiBytes, element } from './writer.ts';

/** Epoch milliseconds. */
export function decodeTime({ tag, content }: DerElement): number {
  const text = Buffer.from(content).toString('latin1');
  if (tag === tags.utcTime) {
    if (!/^\d{12}Z$/.test(text)) throw refuse('DER', 'UTCTime is not YYMMDDHHMMSSZ');
    const year = Number(text.slice(0, 2));
    return epochOf(year < 50 ? 2000 + year : 1900 + year, text.slice(2));
  }
  if (tag === tags.generalizedTime) {
    if (!/^\d{14}Z$/.test(text)) throw refuse('DER', 'GeneralizedTime is not YYYYMMDDHHMMSSZ');
    const year = Number(text.slice(0, 4));
    if (year >= 1950 && year < 2050) throw refuse('DER', `GeneralizedTime for ${year}, want UTCTime`);
    return epochOf(year, text.slice(4));
  }
  throw refuse('DER', `found tag 0x${tag.toString(16)}, want a time`);
}

function epochOf(year: number, rest: string): number {
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = [0, 2, 4, 6, 8].map((at) =>
    Number(rest.slice(at, at + 2)),
  );
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const overflowed =
    date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59;
  if (overflowed) throw refuse('DER', `no such time: ${year} ${rest}`);
  return date.getTime();
}

/** Fractions of a second are dropped: the encoding has none. */
export function encodeTime(epochMs: number): Uint8Array {
  const date = new Date(epochMs);
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw refuse('PROFILE', `year ${year} is outside 1950 to 9999`);
  const iso = date.toISOString();
  const rest = `${[5, 8, 11, 14, 17].map((at) => iso.slice(at, at + 2)).join('')}Z`;
  return year < 2050
    ? element(tags.utcTime, asciiBytes(iso.slice(2, 4) + rest))
    : element(tags.generalizedTime, asciiBytes(iso.slice(0, 4) + rest));
}
