// Counts streams where HTTP/2 opens them: a call that never sends its request is known to no handler, and costs as much as one that does.
import { Metadata, ServerInterceptingCall } from '@grpc/grpc-js';
import type { ServerInterceptor } from '@grpc/grpc-js';
import type { Connection } from './connection.ts';
import type { Share } from './shares.ts';
import { statusCode } from './status.ts';

export interface StreamShareOptions {
  readonly share: Share;
  /** The connection of that name, while it lives. */
  readonly connectionOf: (peer: string) => Connection | undefined;
  /** Called for each stream that was refused on the connection of that name. */
  readonly onRefused: (peer: string) => void;
}

export function createStreamShare({ share, connectionOf, onRefused }: StreamShareOptions): ServerInterceptor {
  return (_method, call) => {
    const peer = call.getPeer();
    const connection = connectionOf(peer);
    if (connection === undefined) return new ServerInterceptingCall(call); // it has gone, which its handler will see
    const exceeded = share.enter(connection);
    if (exceeded === undefined) {
      // grpc-js says "cancel" at the end of every call, however it ended.
      const onCancel = (): void => share.leave(connection);
      return new ServerInterceptingCall(call, { start: (next) => next({ onCancel }) });
    }
    const refusal = { code: statusCode.RESOURCE_EXHAUSTED, details: exceeded, metadata: new Metadata() };
    return new ServerInterceptingCall(call, {
      start() {
        call.sendStatus(refusal);
        onRefused(peer);
      },
    });
  };
}
