// The text of a SPIFFE ID, byte by byte: an ID with dot segments, percent signs or empty segments is refused, never normalised,
// because `URL` would turn `spiffe://td/a/%2e%2e/admin` into `spiffe://td/admin`.
import { SpiffeError } from './errors.ts';

export const idScheme = 'spiffe://';

/** Splits where the path begins; checks the scheme only. */
export function splitId(text: string): { readonly name: string; readonly path: string } {
  if (text === '') throw new SpiffeError('ID_EMPTY', 'cannot be empty');
  if (!text.startsWith(idScheme)) throw new SpiffeError('ID_SCHEME', 'scheme is missing or invalid');
  const slash = text.indexOf('/', idScheme.length);
  const end = slash === -1 ? text.length : slash;
  return { name: text.slice(idScheme.length, end), path: text.slice(end) };
}

/** Throws unless the path is empty or a well-formed absolute path (SPIFFE-ID §2.2). */
export function checkPath(path: string): void {
  if (path === '') return;
  if (!path.startsWith('/')) throw new SpiffeError('PATH_LEADING_SLASH', 'path must have a leading slash');
  const segments = path.slice(1).split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '' && index === segments.length - 1) {
      throw new SpiffeError('PATH_TRAILING_SLASH', 'path cannot have a trailing slash');
    }
    checkPathSegment(segment);
  }
}

/** Throws unless the text can stand between two slashes: what an ID is built from must bring no slashes of its own. */
export function checkPathSegment(segment: string): void {
  if (segment === '') throw new SpiffeError('PATH_EMPTY_SEGMENT', 'path cannot contain empty segments');
  if (segment === '.' || segment === '..') {
    throw new SpiffeError('PATH_DOT_SEGMENT', 'path cannot contain dot segments');
  }
  for (let i = 0; i < segment.length; i++) {
    if (!isPathCharacter(segment.charCodeAt(i))) {
      throw new SpiffeError(
        'PATH_CHARACTER',
        'path segment characters are limited to letters, numbers, dots, dashes, and underscores',
      );
    }
  }
}

/** Throws unless the text is a trust domain's name (SPIFFE-ID §2.1). */
export function checkTrustDomainName(name: string): void {
  if (name === '') throw new SpiffeError('TRUST_DOMAIN_MISSING', 'trust domain is missing');
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (!isPathCharacter(c) || isUpperCase(c)) {
      throw new SpiffeError(
        'TRUST_DOMAIN_CHARACTER',
        'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
      );
    }
  }
}

function isPathCharacter(c: number): boolean {
  const isLowerCase = c >= 0x61 && c <= 0x7a;
  const isDigit = c >= 0x30 && c <= 0x39;
  const isPunctuation = c === 0x2d || c === 0x2e || c === 0x5f; // - . _
  return isLowerCase || isUpperCase(c) || isDigit || isPunctuation;
}

function isUpperCase(c: number): boolean {
  return c >= 0x41 && c <= 0x5a;
}
