// The details of an RpcError in the trailer `grpc-status-details-bin`, as a google.rpc.Status: both directions. Unreadable details are dropped,
// because the status itself still stands.
import { Metadata } from '@grpc/grpc-js';
import { Status } from '../../proto/gen/google/rpc/status.ts';
import type { ErrorDetail, RpcError } from './status.ts';

/** Where the details travel. */
export const detailsTrailer = 'grpc-status-details-bin';
const typeUrlPrefix = 'type.googleapis.com/';

/** The trailers that carry an error's metadata and details. */
export function encodeErrorTrailers(error: RpcError): Metadata {
  const metadata = error.metadata?.clone() ?? new Metadata();
  if (error.details.length === 0) return metadata;
  const details = error.details.map(({ type, value }) => ({ typeUrl: typeUrlPrefix + type, value }));
  const encoded = Status.encode({ code: error.code, message: error.message, details }).finish();
  metadata.set(detailsTrailer, Buffer.from(encoded));
  return metadata;
}

/** The details that a peer sent along with a status; none where there are none or where they cannot be read. */
export function parseErrorDetails(metadata: Metadata): ErrorDetail[] {
  const [encoded] = metadata.get(detailsTrailer);
  if (!(encoded instanceof Uint8Array)) return [];
  try {
    return Status.decode(encoded).details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
      value,
    }));
  } catch {
    return []; // the code and the message say enough; a peer that sends rubbish gains nothing
  }
}
