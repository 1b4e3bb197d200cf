// What a history says once its payloads are decoded: exports carry them as base64, in which a plain search sees nothing.
import type { History } from './history-json.ts';

/** A piece of text, where it is, and the name of the field that holds it. */
export interface Leaf {
  /** `events[4].activityTaskScheduledEventAttributes.input.payloads[0].plan.spec`. */
  readonly place: string;
  readonly field: string;
  readonly text: string;
}

export interface Visitor {
  leaf(leaf: Leaf): void;
  /** Every object, with the place of it. */
  record(place: string, record: Readonly<Record<string, unknown>>): void;
  /** Every value that stands for bytes. */
  bytes(place: string, bytes: Buffer): void;
}

/** Inputs, results, failures and their details, heartbeats, memos, headers, signals: whatever is a payload is decoded, all else taken as it is. */
export function visitHistory({ events }: History, visitor: Visitor): void {
  events.forEach((event, index) => visit(`events[${index}]`, '', event, visitor));
}

export function visit(place: string, field: string, value: unknown, visitor: Visitor): void {
  if (typeof value === 'string') return visitText(place, field, value, visitor);
  if (typeof value !== 'object' || value === null) return;
  const bytes = bytesOf(value);
  if (bytes !== undefined) return visitBytes(place, field, bytes, visitor);
  if (Array.isArray(value)) return value.forEach((item, index) => visit(`${place}[${index}]`, field, item, visitor));
  const record = value as Readonly<Record<string, unknown>>;
  if (isPayload(record)) return visitPayload(place, field, record, visitor);
  visitor.record(place, record);
  for (const [name, inner] of Object.entries(record)) {
    visitor.leaf({ place, field: '', text: name }); // a map's keys are data too
    visit(`${place}.${name}`, name, inner, visitor);
  }
}

/** Text may be a document itself, as an instance identity document is. */
function visitText(place: string, field: string, text: string, visitor: Visitor): void {
  visitor.leaf({ place, field, text });
  const inner = textInBase64(text);
  if (inner !== undefined) return visitText(`${place}(base64)`, field, inner, visitor);
  if (!/^\s*[{["]/.test(text)) return;
  const document = parsed(text);
  if (document !== undefined && document !== text) visit(`${place}(json)`, field, document, visitor);
}

/** Text that was encoded once more, as boot scripts are on their way to EC2. */
function textInBase64(text: string): string | undefined {
  if (text.length < 24 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const inner = Buffer.from(text, 'base64').toString('latin1');
  return /^[\t\n\r\x20-\x7e]+$/.test(inner) ? inner : undefined;
}

function visitBytes(place: string, field: string, bytes: Buffer, visitor: Visitor): void {
  visitor.bytes(place, bytes);
  visitText(`${place}(bytes)`, field, bytes.toString('latin1'), visitor);
}

interface Payload {
  readonly metadata: Readonly<Record<string, string>>;
  readonly data?: string;
}

function isPayload(record: object): record is Payload {
  if (!('metadata' in record) || typeof record.metadata !== 'object' || record.metadata === null) return false;
  return (
    'encoding' in record.metadata &&
    Object.keys(record).every((key) => key === 'metadata' || key === 'data' || key === 'externalPayloads')
  );
}

/** Data that is not JSON is looked at as bytes: nothing is left out because its encoding is not known here. */
function visitPayload(place: string, field: string, { metadata, data = '' }: Payload, visitor: Visitor): void {
  for (const [name, value] of Object.entries(metadata))
    visitor.leaf({ place: `${place}.metadata`, field: name, text: Buffer.from(value, 'base64').toString('latin1') });
  const bytes = Buffer.from(data, 'base64');
  const value = parsed(bytes.toString('utf8'));
  if (value === undefined) return visitBytes(place, field, bytes, visitor);
  visit(place, field, value, visitor);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // text that is no document
  }
}

/** A Buffer or a Uint8Array, in the forms that JSON gives them, and lists of numbers that could be one. */
function bytesOf(value: object): Buffer | undefined {
  if ('type' in value && value.type === 'Buffer' && 'data' in value && isByteList(value.data))
    return Buffer.from(value.data);
  if (isByteList(value)) return Buffer.from(value);
  const keys = Object.keys(value);
  const values = Object.values(value) as unknown[];
  return keys.every((key, index) => key === String(index)) && isByteList(values) ? Buffer.from(values) : undefined;
}

function isByteList(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.length >= 8 &&
    value.every((item) => Number.isInteger(item) && (item as number) >= 0 && (item as number) <= 255)
  );
}
