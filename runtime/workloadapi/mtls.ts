// Mutual TLS between workloads for any protocol but gRPC: both ends show an SVID, both judge the other's by our own code, and only then talk.
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { RpcLog } from '../rpc/call-context.ts';
import { dialTls } from '../rpc/tls-dial.ts';
import type { VerifiedSocket } from '../rpc/tls-dial.ts';
import { listenOnTls } from '../rpc/tls-listener.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { WorkloadError } from './errors.ts';
import type { Handshakes } from './handshakes.ts';
import { peerVerifier, tlsCredentialsOf } from './tls.ts';
import type { X509Source } from './x509-source.ts';

export interface MtlsPeer {
  readonly id: SpiffeId;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
}

export interface MtlsServerOptions {
  readonly host: string;
  readonly port: number;
  readonly source: X509Source;
  readonly authorize: (id: SpiffeId) => boolean;
  /** Takes over a verified connection, for instance by `httpServer.emit('connection', socket)`. */
  readonly accept: (socket: TLSSocket, peer: MtlsPeer) => void;
  /** Learns of each connection that was closed because of who its peer is. */
  readonly refused?: (error: WorkloadError) => void;
  /** Counts them all. */
  readonly handshakes?: Handshakes;
  /** The one protocol to be spoken, as gRPC wants it; none is negotiated where it is left out. */
  readonly alpnProtocol?: string;
  readonly log?: RpcLog;
  readonly clock?: () => number;
}

export interface MtlsServer {
  readonly address: AddressInfo;
  /** Closes the connections too. */
  close(): Promise<void>;
}

/** Listens. A peer that is refused sees its connection closed, and no reason. */
export async function createMtlsServer(options: MtlsServerOptions): Promise<MtlsServer> {
  const { host, port, source, authorize, accept, refused, handshakes, alpnProtocol, log, clock = Date.now } = options;
  const verify = peerVerifier({ source, authorize, clock });
  const report = (error: unknown): void => {
    handshakes?.refused('server', error);
    if (error instanceof WorkloadError) refused?.(error);
  };
  const verifyPeer = (chain: Uint8Array[]): SpiffeId => {
    try {
      return verify(chain);
    } catch (error) {
      report(error);
      throw error;
    }
  };
  const sockets = new Set<Socket>();
  const server = await listenOnTls(
    { host, port, credentials: () => tlsCredentialsOf(source), verifyPeer },
    {
      log,
      ...(alpnProtocol === undefined ? {} : { alpnProtocol }),
      accept(socket, { peerId, peerChain }) {
        if (peerId !== undefined) {
          handshakes?.accepted('server', peerId);
          return accept(socket, { id: peerId, chain: peerChain });
        }
        const error = new WorkloadError('PEER_WITHOUT_CERTIFICATE', 'peer showed no certificate');
        report(error);
        throw error;
      },
    },
  );
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export interface ConnectMtlsOptions {
  readonly host: string;
  readonly port: number;
  readonly source: X509Source;
  readonly authorize: (id: SpiffeId) => boolean;
  readonly clock?: () => number;
  readonly timeoutMs?: number;
  readonly handshakes?: Handshakes;
}

/**
 * A connection whose server is verified and authorized. In TLS 1.3 the server judges us only after that: it closes the connection where it refuses,
 * so the first read tells.
 */
export async function connectMtls(options: ConnectMtlsOptions): Promise<VerifiedSocket> {
  return secureMtls({ port: options.port }, options);
}

/** The same over a connection that is there already, for instance a tunnel, or what a gRPC channel opened. */
export async function secureMtls(
  over: Socket | { readonly port: number },
  options: Omit<ConnectMtlsOptions, 'port'> & { readonly alpnProtocol?: string },
): Promise<VerifiedSocket> {
  const { host, source, authorize, clock = Date.now, timeoutMs, alpnProtocol, handshakes } = options;
  const verifyServer = peerVerifier({ source, authorize, clock });
  const more = {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(alpnProtocol === undefined ? {} : { alpnProtocol }),
  };
  try {
    const verified = await dialTls(over, {
      host,
      credentials: () => tlsCredentialsOf(source),
      verifyServer,
      ...more,
    });
    handshakes?.accepted('client', verified.peerId);
    return verified;
  } catch (error) {
    handshakes?.refused('client', error);
    throw error;
  }
}
