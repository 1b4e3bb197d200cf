// What can go wrong on a workload's side. A gRPC status of the agent stays an RpcError.
import type { SpiffeId } from '../spiffe/spiffe-id.ts';

export type WorkloadErrorCode =
  | 'ENDPOINT'
  | 'RESPONSE'
  | 'NO_SVID'
  | 'NO_BUNDLE'
  | 'CLOSED'
  | 'PEER_WITHOUT_CERTIFICATE'
  | 'PEER_NOT_VERIFIED'
  | 'PEER_NOT_AUTHORIZED'
  | 'POLICY';

export interface WorkloadErrorOptions {
  readonly cause?: unknown;
  /** Who the peer says that it is: verified only where the code is PEER_NOT_AUTHORIZED. */
  readonly peerId?: SpiffeId;
}

export class WorkloadError extends Error {
  readonly code: WorkloadErrorCode;
  readonly peerId: SpiffeId | undefined;

  constructor(code: WorkloadErrorCode, message: string, options: WorkloadErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'WorkloadError';
    this.code = code;
    this.peerId = options.peerId;
  }
}
