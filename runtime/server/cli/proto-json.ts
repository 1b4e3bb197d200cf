// A message as `-output json` prints it: protobuf's JSON with proto field names, every field present, keys sorted, absent messages left out.

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

export function formatProtoJson(message: object): string {
  const text = JSON.stringify(toJson('', message));
  // As Go's encoder writes them.
  return `${text.replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026')}\n`;
}

function toJson(key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map((item) => toJson(key, item));
  if (typeof value === 'object' && value !== null) return Object.fromEntries(fieldsOf(value));
  if (typeof value === 'number' && int64Fields.has(key)) return String(value);
  return value;
}

function fieldsOf(message: object): [string, unknown][] {
  return Object.entries(message)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]): [string, unknown] => [protoName(key), toJson(protoName(key), value)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** `x509SvidTtl` is `x509_svid_ttl` in the .proto file. */
function protoName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
