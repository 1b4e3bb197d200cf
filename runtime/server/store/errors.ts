// What the store can refuse. Callers branch on the code, never on the message.

export type StoreErrorCode =
  /** The record breaks a rule of the store (an empty selector list, an id too long). */
  | 'INVALID'
  | 'NOT_FOUND'
  /** A record with this id or key exists. */
  | 'CONFLICT'
  /** As many as there may be are there. */
  | 'LIMIT'
  /** An entry names a trust domain whose bundle is not kept. */
  | 'UNKNOWN_FEDERATED_BUNDLE'
  /** The bundle is used by entries. */
  | 'BUNDLE_IN_USE'
  | 'AGENT_BANNED'
  /** The last authorities of a kind are not removed. */
  | 'LAST_AUTHORITY'
  | 'ALREADY_TAINTED'
  | 'NOT_TAINTED'
  /** The database was migrated by a newer server. */
  | 'SCHEMA_NEWER'
  /** The database is to be migrated by somebody else, who has not done it yet. */
  | 'SCHEMA_OLDER'
  /** The database is another program's. */
  | 'FOREIGN_SCHEMA'
  | 'UNAVAILABLE'
  | 'INTERNAL';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
