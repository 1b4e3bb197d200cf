// Reads fields of request bodies; a field of the wrong type is refused with its name.
import { GcpError } from './errors.ts';

export type Body = Readonly<Record<string, unknown>>;

export function optionalText(body: Body, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(name, 'must be a string');
}

export function text(body: Body, name: string): string {
  const value = optionalText(body, name);
  if (value === undefined || value === '') throw invalid(name, 'is required');
  return value;
}

export function object(body: Body, name: string): Body {
  const value = body[name];
  if (value === undefined) return {};
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body;
  throw invalid(name, 'must be an object');
}

export function objects(body: Body, name: string): readonly Body[] {
  const value = body[name];
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null)) return value as Body[];
  throw invalid(name, 'must be a list of objects');
}

export function texts(body: Body, name: string): readonly string[] {
  const value = body[name];
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw invalid(name, 'must be a list of strings');
}

export function textMap(body: Body, name: string): Record<string, string> {
  const entries = Object.entries(object(body, name));
  if (!entries.every(([, value]) => typeof value === 'string')) throw invalid(name, 'must be a map of strings');
  return Object.fromEntries(entries) as Record<string, string>;
}

export function invalid(name: string, why: string): GcpError {
  return new GcpError('INVALID_ARGUMENT', `Invalid value for field '${name}': ${why}`);
}

/** A page of a list by `pageSize`/`maxResults` and `pageToken`. */
export function paginate<T>(
  list: readonly T[],
  query: URLSearchParams,
  sizeName: string,
): { page: readonly T[]; nextPageToken?: string } {
  const size = Number(query.get(sizeName) ?? '500');
  const token = query.get('pageToken') ?? '';
  const start = token === '' ? 0 : Number(Buffer.from(token, 'base64url').toString());
  if (!Number.isInteger(start) || start < 0) throw invalid('pageToken', 'is not one of this list');
  const end = start + (Number.isInteger(size) && size > 0 ? size : 500);
  return {
    page: list.slice(start, end),
    ...(end < list.length ? { nextPageToken: Buffer.from(String(end)).toString('base64url') } : {}),
  };
}
