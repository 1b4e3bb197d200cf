// The client's half of a TLS connection: shakes hands and asks the callback about the server before anything else is written.
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { takePeerChain } from './peer-chain.ts';
import { secureContextOptions } from './tls-credentials.ts';
import type { TlsCredentials } from './tls-credentials.ts';

export const dialTimeoutMs = 10_000;

export interface TlsDialOptions {
  /** What the certificate is asked for by name (SNI); never what it is judged by. */
  readonly host: string;
  /** Asked at each connection; undefined connects without a certificate. */
  readonly credentials?: (() => TlsCredentials | undefined) | undefined;
  /** Judges the chain that the server sent. What it throws refuses the connection. */
  readonly verifyServer: (chain: Uint8Array[]) => SpiffeId;
  /** The one protocol to be spoken; none is negotiated where it is left out. */
  readonly alpnProtocol?: string;
  readonly timeoutMs?: number;
  /** Ends the attempt; a connection that is made by then is its owner's. */
  readonly signal?: AbortSignal;
}

export interface VerifiedSocket {
  readonly socket: TLSSocket;
  readonly peerId: SpiffeId;
  /** DER, leaf first, as the server sent it. */
  readonly peerChain: readonly Uint8Array[];
}

/** Over a socket that is already connected, or one that this call opens. Rejects with what the callback threw; the socket is then closed. */
export function dialTls(over: Socket | { readonly port: number }, options: TlsDialOptions): Promise<VerifiedSocket> {
  const { host, credentials, verifyServer, alpnProtocol } = options;
  const timeoutMs = options.timeoutMs ?? dialTimeoutMs;
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      ...secureContextOptions(credentials?.()),
      ...('on' in over ? { socket: over } : { host, port: over.port }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: false, // the callback decides, below
      ...(alpnProtocol === undefined ? {} : { ALPNProtocols: [alpnProtocol] }),
    });
    const giveUp = () => refuse(options.signal?.reason as Error);
    const settle = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', giveUp);
    };
    const refuse = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(
      () => refuse(new Error(`no TLS handshake with ${host} within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.on('error', refuse); // stays for good: a reset that comes before the next owner listens would end the process
    socket.once('close', () => refuse(new Error(`${host} closed the connection during the TLS handshake`)));
    socket.once('secureConnect', () => {
      try {
        const peerChain = takeServerChain(socket, alpnProtocol);
        const peerId = verifyServer(peerChain);
        settle();
        resolve({ socket, peerId, peerChain });
      } catch (error) {
        refuse(error as Error);
      }
    });
    options.signal?.addEventListener('abort', giveUp);
    if (options.signal?.aborted === true) giveUp();
  });
}

function takeServerChain(socket: TLSSocket, protocol: string | undefined): Uint8Array[] {
  if (protocol !== undefined && socket.alpnProtocol !== protocol)
    throw new Error(`server did not negotiate ${protocol}`);
  if (socket.isSessionReused()) throw new Error('server resumed a session: its certificate was not shown again');
  const chain = takePeerChain(socket);
  if (chain.length === 0) throw new Error('server showed no certificate');
  return chain;
}
