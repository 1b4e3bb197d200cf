// gRPC over mutual TLS for programs that use grpc-js itself: credentials for any of its clients, and a listener for any of its servers. Peers are
// judged by our own code before a byte of HTTP/2.
import { ServerCredentials } from '@grpc/grpc-js';
import type { ChannelCredentials, Server } from '@grpc/grpc-js';
import { createChannelCredentials } from '../rpc/channel-credentials.ts';
import { alpnProtocol } from '../rpc/tls-credentials.ts';
import { createMtlsServer, secureMtls } from './mtls.ts';
import type { ConnectMtlsOptions, MtlsPeer, MtlsServer, MtlsServerOptions } from './mtls.ts';

export interface GrpcCredentialsOptions extends Omit<ConnectMtlsOptions, 'host' | 'port'> {
  /** What the server is asked for by name; never what it is judged by. */
  readonly serverName?: string;
}

/** For `new Client(address, credentials)`. A server that is not authorized is UNAVAILABLE; why stands in the log and in the counts. */
export function createGrpcCredentials({
  serverName = 'localhost',
  ...mtls
}: GrpcCredentialsOptions): ChannelCredentials {
  return createChannelCredentials({
    secure: async (socket) => ({
      socket: (await secureMtls(socket, { ...mtls, host: serverName, alpnProtocol })).socket,
      secure: true,
    }),
    isConnecting: () => false, // a client of somebody else's: its own deadlines end the wait for a silent server
    silenceMs: 0,
    log: undefined,
  });
}

export interface GrpcListener extends MtlsServer {
  /** Who makes a call, by the connection that it came on. */
  peerOf(call: { getPeer(): string }): MtlsPeer | undefined;
}

/** Hands verified connections to the server, which need not be bound to anything. Closing the listener does not shut the server down. */
export async function listenForGrpc(
  server: Server,
  options: Omit<MtlsServerOptions, 'accept' | 'alpnProtocol'>,
): Promise<GrpcListener> {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const peers = new Map<string, MtlsPeer>();
  const listener = await createMtlsServer({
    ...options,
    alpnProtocol,
    accept(socket, peer) {
      // As grpc-js names the peer of a call; of two connections that are open, no two have the same.
      const name = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
      peers.set(name, peer);
      socket.once('close', () => peers.delete(name));
      injector.injectConnection(socket);
    },
  });
  return { ...listener, peerOf: (call) => peers.get(call.getPeer()) };
}
