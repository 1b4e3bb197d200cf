// Finds what must never be in a history: private keys, tokens, passwords, instance identity documents. It knows shapes, not values, and says
// where it found which, never what. For recorded histories, and for those of a real run (history-tree.ts fetches them).
import { derShape, derShapeInText } from './der-shapes.ts';
import { visitHistory } from './decoded.ts';
import type { History } from './history-json.ts';

export interface FoundSecret {
  readonly shape: string;
  readonly place: string;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Shapes of text, wherever it stands. */
const texts: readonly (readonly [shape: string, pattern: RegExp])[] = [
  ['private key (PEM)', /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/],
  ['private key (JWK)', /"kty"[^}]*"(?:d|k)"\s*:\s*"|"(?:d|k)"\s*:\s*"[\w-]{16,}"[^}]*"kty"/],
  ['JWT', /eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/],
  ['PKCS#7 document', /-----BEGIN (?:PKCS7|CMS)-----/],
  ['password in a URL', /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"']*:[^\s/@"']+@/i],
  ['password', /\bPASSWORD\s+'[^']+'|\bPGPASSWORD=\S|\bpassword=[^\s&*]/i],
  ['join token', /-joinToken[ =]\S|\bjoin_token"?\s*[:=]\s*"[^"]|\btoken:\s*[0-9a-f]{8}-[0-9a-f]{4}-/i],
  ['AWS secret key', /secret_?access_?key"?\s*[:=]\s*"?[A-Za-z0-9/+]{20}/i],
  ['AWS session token', /\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9/+]{16}/],
  ['GCP access token', /\bya29\.[\w-]{16}/],
  ['bearer token', /\bbearer\s+[\w.~+/-]{16}/i],
];

/** Shapes of a named field, whatever object it is in. */
const fields: readonly (readonly [shape: string, field: RegExp, value: RegExp])[] = [
  ['join token', /token$/i, uuid],
  ['password', /pass(?:word|phrase)$/i, /./],
  ['AWS secret key', /secret_?access_?key$/i, /./],
  ['AWS session token', /session_?token$/i, /./],
  ['GCP access token', /access_?token$/i, /./],
  ['private key (by its field)', /private_?key(?:_?pem|_?der)?$/i, /./],
  ['identity document', /^(?:rsa2048|pkcs7)$/i, /./],
  ['identity document', /^signature$/i, /^[A-Za-z0-9+/=_\s-]{64,}$/],
];

/** Shapes of a whole object, by its fields. */
const records: readonly (readonly [shape: string, names: readonly string[]])[] = [
  ['private key (JWK)', ['kty', 'd']],
  ['private key (JWK)', ['kty', 'k']],
  ['identity document', ['instanceId', 'accountId']],
];

/** Forty letters of base64, which is all that AWS's secret keys are: digits and letters of both cases among them, no path, no hexadecimal. */
function looksLikeAwsSecret(text: string): boolean {
  return /^[A-Za-z0-9+/]{40}$/.test(text) && /[a-z]/.test(text) && /[A-Z]/.test(text) && /[0-9]/.test(text);
}

/** In the order of the history; the same place is named once for each shape. */
export function findSecrets(history: History): FoundSecret[] {
  const found = new Map<string, FoundSecret>();
  const note = (shape: string | undefined, place: string): void => {
    if (shape !== undefined) found.set(`${shape} ${place}`, { shape, place });
  };
  visitHistory(history, {
    leaf({ place, field, text }) {
      for (const [shape, pattern] of texts) if (pattern.test(text)) note(shape, place);
      for (const [shape, name, value] of fields) if (name.test(field) && value.test(text)) note(shape, place);
      if (looksLikeAwsSecret(text)) note('AWS secret key', place);
      note(derShapeInText(text), place);
    },
    record(place, record) {
      for (const [shape, names] of records) if (names.every((name) => name in record)) note(shape, place);
    },
    bytes: (place, bytes) => note(derShape(bytes), place),
  });
  return [...found.values()];
}
