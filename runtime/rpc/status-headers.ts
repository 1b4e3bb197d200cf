// A status as the header fields that carry it: grpc-status, grpc-message with its percent-encoding, details and metadata.
import type { OutgoingHttpHeaders } from 'node:http2';
import { encodeErrorTrailers } from './error-details.ts';
import type { RpcError } from './status.ts';

export const okTrailers: OutgoingHttpHeaders = { 'grpc-status': '0' };

export function statusHeaders(error: RpcError): OutgoingHttpHeaders {
  return {
    'grpc-status': String(error.code),
    'grpc-message': encodeMessage(error.message),
    ...encodeErrorTrailers(error).toHttp2Headers(),
  };
}

/** Half a surrogate pair, such as a request may hold and a message quote, cannot be encoded. */
export function wellFormed(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, '\uFFFD');
}

/** What is not printable ASCII, a percent sign, and spaces, which HTTP may cut off at the ends, as bytes of UTF-8. */
function encodeMessage(message: string): string {
  return message.replaceAll(/[^\x21-\x24\x26-\x7e]+/gu, (strange) => encodeURIComponent(wellFormed(strange)));
}
