// Why a JWT-SVID does not hold, in the words in which SPIRE's agent tells workloads: those of its own checks and of the library under them.
import { PkiError } from '../../pki/errors.ts';
import type { PkiErrorCode } from '../../pki/errors.ts';
import { jwsAlgorithms, parseCompactJws } from '../../pki/jws.ts';

interface Asked {
  readonly token: string;
  readonly audience: string;
}

type Wording = (error: PkiError, asked: Asked) => string;

const wordings: Readonly<Partial<Record<PkiErrorCode, Wording>>> = {
  TOKEN_FORMAT: (error, { token }) => {
    const threeParts = token.split('.').length === 3;
    return unparsable(threeParts ? error.message : 'go-jose/go-jose: compact JWS format must have three parts');
  },
  TOKEN_ALGORITHM: (_error, { token }) => {
    const { alg } = parseCompactJws(token).header;
    return unparsable(`unexpected signature algorithm ${quoted(alg ?? '')}; expected ${quotedList(jwsAlgorithms)}`);
  },
  TOKEN_KEY_ID: () => 'token header missing key id',
  TOKEN_SUBJECT: (error) =>
    error.cause instanceof Error
      ? `token has in invalid subject claim: ${error.cause.message}`
      : 'token missing subject claim',
  TOKEN_UNKNOWN_KEY: (_error, { token }) => {
    const { header, payload } = parseCompactJws(token);
    return `public key ${quoted(header['kid'])} not found in trust domain ${quoted(trustDomainOf(payload['sub']))}`;
  },
  TOKEN_SIGNATURE: () => 'go-jose/go-jose: error in cryptographic primitive',
  TOKEN_AUDIENCE: (_error, { token, audience }) => {
    const { aud } = parseCompactJws(token).payload;
    const shown = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud];
    return `expected audience in ${quotedList([audience])} (audience=${quotedList(shown)})`;
  },
  TOKEN_NOT_YET_VALID: (error) =>
    error.message === 'token is issued in the future'
      ? 'go-jose/go-jose/jwt: validation field, token issued in the future (iat)'
      : 'go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)',
};

/** The refusal's own message where SPIRE would not have refused, or says the same. */
export function jwtRefusalText(error: Error, asked: Asked): string {
  if (!(error instanceof PkiError)) return error.message;
  return wordings[error.code]?.(error, asked) ?? error.message;
}

function unparsable(reason: string): string {
  return `unable to parse JWT token: ${reason}`;
}

/** The subject has been read as a SPIFFE ID by the time that a key is looked for. */
function trustDomainOf(subject: unknown): string {
  return String(subject).split('/')[2] ?? '';
}

function quoted(value: unknown): string {
  return JSON.stringify(typeof value === 'string' ? value : String(value));
}

function quotedList(values: readonly unknown[]): string {
  return `[${values.map(quoted).join(' ')}]`;
}
