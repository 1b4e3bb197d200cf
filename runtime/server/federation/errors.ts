// Why a bundle was not taken from an endpoint. Callers branch on the code, never on the message.

export type FederationErrorCode =
  /** Nothing is kept that an https_spiffe endpoint could be judged by. */
  | 'NO_ENDPOINT_BUNDLE'
  /** No connection, a certificate that is not accepted, no answer in time. */
  | 'ENDPOINT'
  | 'STATUS'
  | 'REDIRECT'
  | 'TOO_LARGE'
  /** What was sent is no bundle. */
  | 'BUNDLE'
  /** The bundle is older than the one that is kept. */
  | 'SEQUENCE'
  /** The relationship ended while its bundle was on its way. */
  | 'ENDED';

export class FederationError extends Error {
  override readonly name = 'FederationError';
  readonly code: FederationErrorCode;

  constructor(code: FederationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
