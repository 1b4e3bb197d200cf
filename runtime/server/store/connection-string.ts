// Both ways to name a PostgreSQL database: a URL, and the `key=value` list that SPIRE's `connection_string` usually is.
import { StoreError } from './errors.ts';

/** Of the parameters that libpq knows, those that have another name in the URL or belong before its question mark. */
const inAuthority = new Set(['user', 'password', 'host', 'port', 'dbname']);

/** The connection string as a URL, which is what `pg` reads. */
export function parseConnectionString(text: string): string {
  const trimmed = text.trim();
  if (/^postgres(ql)?:\/\//.test(trimmed)) return trimmed;
  const settings = parseKeywords(trimmed);
  const url = new URL('postgres://placeholder/');
  const host = settings.get('host') ?? 'localhost';
  // A path names the directory of a Unix socket.
  if (host.startsWith('/')) url.searchParams.set('host', host);
  if (!host.startsWith('/')) url.hostname = host;
  url.username = encodeURIComponent(settings.get('user') ?? '');
  url.password = encodeURIComponent(settings.get('password') ?? '');
  url.port = settings.get('port') ?? '5432';
  url.pathname = `/${encodeURIComponent(settings.get('dbname') ?? settings.get('user') ?? '')}`;
  // `require` is encryption without a check of the server's name, as libpq and SPIRE have it.
  if (settings.has('sslmode')) url.searchParams.set('uselibpqcompat', 'true');
  for (const [key, value] of settings) if (!inAuthority.has(key)) url.searchParams.set(key, value);
  return url.href;
}

/** libpq: `key = value`, values with blanks in single quotes, `\` before a quote or a backslash. */
function parseKeywords(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/gy;
  while (pair.lastIndex < text.length) {
    const { lastIndex } = pair;
    const match = pair.exec(text);
    // The text itself may hold a password: it is not repeated.
    if (match === null)
      throw new StoreError('INVALID', `connection string is not key=value at character ${lastIndex + 1}`);
    const [, key = '', quoted, plain] = match;
    settings.set(key, (quoted ?? plain ?? '').replaceAll(/\\(.)/g, '$1'));
  }
  if (settings.size === 0) throw new StoreError('INVALID', 'connection string is empty');
  return settings;
}
