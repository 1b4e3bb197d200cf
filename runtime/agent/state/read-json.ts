// What the agent's two small files are made of, checked as they are read. By hand: a library of schemas would stay loaded for as long as the agent runs.
// No message quotes a value, which may be a key.

/** Without a cause: JSON.parse quotes what it could not read. */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('not JSON');
  }
  return readObject(value);
}

export function readObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not a JSON object');
  return value as Record<string, unknown>;
}

export function readBase64(value: unknown): Buffer {
  if (typeof value !== 'string') throw new Error('not a text');
  const bytes = Buffer.from(value, 'base64');
  // Node passes over what is no base64; only what it would write itself is.
  if (bytes.toString('base64') !== value) throw new Error('not base64');
  return bytes;
}
