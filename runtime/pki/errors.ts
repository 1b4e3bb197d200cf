// What this folder refuses, by name. Callers branch on the code, people read the message.

export type PkiErrorCode =
  // Encodings
  | 'DER'
  | 'PEM'
  | 'CERTIFICATE'
  | 'CSR'
  | 'CSR_SIGNATURE'
  // Keys and algorithms
  | 'KEY_TYPE'
  | 'PUBLIC_KEY'
  | 'SIGNATURE_ALGORITHM'
  // Issuing
  | 'ISSUER'
  | 'PROFILE'
  // Certification paths
  | 'CHAIN_EMPTY'
  | 'CHAIN_TOO_LONG'
  | 'VERSION'
  | 'SERIAL_NUMBER'
  | 'NOT_YET_VALID'
  | 'EXPIRED'
  | 'CRITICAL_EXTENSION'
  | 'NOT_A_CA'
  | 'CA_SUBJECT'
  | 'CERT_SIGN'
  | 'PATH_LENGTH'
  | 'NAME_CONSTRAINTS'
  | 'EXTENDED_KEY_USAGE'
  | 'SIGNATURE'
  | 'UNKNOWN_AUTHORITY'
  | 'SEARCH_LIMIT'
  // X509-SVID
  | 'LEAF_URI_COUNT'
  | 'LEAF_ID'
  | 'LEAF_PATH'
  | 'LEAF_IS_CA'
  | 'LEAF_CERT_SIGN'
  | 'LEAF_CRL_SIGN'
  | 'LEAF_KEY_USAGE'
  | 'TRUST_DOMAIN'
  // JWT-SVID
  | 'TOKEN_FORMAT'
  | 'TOKEN_HEADER'
  | 'TOKEN_ALGORITHM'
  | 'TOKEN_TYPE'
  | 'TOKEN_KEY_ID'
  | 'TOKEN_CLAIMS'
  | 'TOKEN_SUBJECT'
  | 'TOKEN_AUDIENCE'
  | 'TOKEN_EXPIRY'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_NOT_YET_VALID'
  | 'TOKEN_UNKNOWN_KEY'
  | 'TOKEN_SIGNATURE';

export class PkiError extends Error {
  override readonly name = 'PkiError';
  readonly code: PkiErrorCode;

  constructor(code: PkiErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function refuse(code: PkiErrorCode, message: string, cause?: unknown): PkiError {
  return cause === undefined ? new PkiError(code, message) : new PkiError(code, message, { cause });
}
