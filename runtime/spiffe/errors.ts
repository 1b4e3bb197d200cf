// The one error of the pure SPIFFE values: text that is not what it must be. Callers branch on `code`, never on the message.

export type SpiffeErrorCode =
  | 'ID_EMPTY'
  | 'ID_SCHEME'
  | 'ID_LENGTH'
  | 'TRUST_DOMAIN_MISSING'
  | 'TRUST_DOMAIN_CHARACTER'
  | 'TRUST_DOMAIN_LENGTH'
  | 'TRUST_DOMAIN_MISMATCH'
  | 'PATH_LEADING_SLASH'
  | 'PATH_TRAILING_SLASH'
  | 'PATH_EMPTY_SEGMENT'
  | 'PATH_DOT_SEGMENT'
  | 'PATH_CHARACTER'
  | 'SUBJECT_KIND'
  | 'SUBJECT_LENGTH'
  | 'SELECTOR_FORMAT'
  | 'SELECTOR_TYPE_MISSING'
  | 'SELECTOR_TYPE_COLON'
  | 'SELECTOR_VALUE_MISSING'
  | 'BUNDLE_FORMAT'
  | 'BUNDLE_X509_AUTHORITY'
  | 'BUNDLE_JWT_AUTHORITY'
  | 'DURATION';

/** The messages about IDs and selectors are those of other SPIFFE implementations, so that operators find them again. */
export class SpiffeError extends Error {
  readonly code: SpiffeErrorCode;

  constructor(code: SpiffeErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.name = 'SpiffeError';
    this.code = code;
  }
}
