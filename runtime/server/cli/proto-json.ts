// A message as `-output json` prints it: protobuf's JSON with proto field names, every field present, keys sorted, absent messages left out.
import { logLevelToJSON } from '../../../proto/gen/spire/api/types/logger.ts';
import type { LogLevel } from '../../../proto/gen/spire/api/types/logger.ts';

/** 64-bit numbers are strings in protobuf's JSON. */
const int64Fields = new Set([
  'created_at',
  'expires_at',
  'issued_at',
  'refresh_hint',
  'revision_number',
  'sequence_number',
  'x509svid_expires_at',
]);

/** Enumerations are names. */
const logLevelFields = new Set(['current_level', 'launch_level']);

export function formatProtoJson(message: object): string {
  return encodeLine(toJson('', message));
}

/** A value that is no message, with its own names, in its own order. */
export function formatStructJson(value: object): string {
  return encodeLine(bytesToText(value));
}

function encodeLine(value: unknown): string {
  // As Go's encoder writes them.
  const text = JSON.stringify(value).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026');
  return `${text}\n`;
}

function bytesToText(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(bytesToText);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, bytesToText(inner)]));
}

function toJson(key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map((item) => toJson(key, item));
  if (typeof value === 'object' && value !== null) return Object.fromEntries(fieldsOf(value));
  if (typeof value === 'number' && int64Fields.has(key)) return String(value);
  if (typeof value === 'number' && logLevelFields.has(key)) return logLevelToJSON(value as LogLevel);
  return value;
}

function fieldsOf(message: object): [string, unknown][] {
  return Object.entries(message)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]: [string, unknown]): [string, unknown] => chosenOf(value) ?? [key, value])
    .map(([key, value]): [string, unknown] => [protoName(key), toJson(protoName(key), value)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Of a oneof, the field that is chosen stands for it. */
function chosenOf(value: unknown): [string, unknown] | undefined {
  if (typeof value !== 'object' || value === null || !('$case' in value) || !('value' in value)) return undefined;
  return [String(value.$case), value.value];
}

/** `x509SvidTtl` is `x509_svid_ttl` in the .proto file. */
function protoName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
