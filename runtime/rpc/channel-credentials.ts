// How grpc-js gets from a connected socket to one that it may speak HTTP/2 on: by our own handshake and verification, never by its own.
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import type { experimental } from '@grpc/grpc-js';
import type { Socket } from 'node:net';
import type { RpcLog } from './call-context.ts';

export interface SecureConnection {
  readonly socket: Socket;
  readonly secure: boolean;
}

export interface ChannelCredentialsOptions {
  readonly secure: (socket: Socket) => Promise<SecureConnection>;
  /** True while the channel still waits for its first word from the server. */
  readonly isConnecting: () => boolean;
  /** A server that is connected but says nothing is given up after this; grpc-js itself would wait for ever. */
  readonly silenceMs: number;
  readonly log: RpcLog | undefined;
}

/** Credentials of one channel; a new handshake for each connection that the channel makes. */
export function createChannelCredentials(options: ChannelCredentialsOptions): ChannelCredentials {
  return new OwnCredentials(options);
}

class OwnCredentials extends ChannelCredentials {
  readonly #options: ChannelCredentialsOptions;

  constructor(options: ChannelCredentialsOptions) {
    super();
    this.#options = options;
  }

  // Says only whether tokens may travel with calls; we send none.
  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): experimental.SecureConnector {
    const { secure, isConnecting, silenceMs, log } = this.#options;
    return {
      async connect(socket) {
        try {
          const connection = await secure(socket);
          giveUpIfSilent(connection.socket, isConnecting, silenceMs);
          return connection;
        } catch (error) {
          log?.warn({ err: error }, 'connection given up');
          throw error;
        }
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }
}

function giveUpIfSilent(socket: Socket, isConnecting: () => boolean, silenceMs: number): void {
  const timer = setTimeout(() => {
    if (isConnecting()) socket.destroy(new Error(`server said nothing for ${silenceMs} ms`));
  }, silenceMs);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
