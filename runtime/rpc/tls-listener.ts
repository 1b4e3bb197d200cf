// Listens on TCP, shakes hands over TLS and lets through only connections whose client certificate, if there is one, the callback accepts.
import { createServer } from 'node:net';
import type { BlockList, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { RpcLog } from './call-context.ts';
import type { TcpConnection } from './connection.ts';
import { hasFirstByte } from './first-byte.ts';
import { addressOf, createHandshakes } from './handshakes.ts';
import { takePeerChain } from './peer-chain.ts';
import { isTrusted, takeProxyHeader } from './proxy-protocol.ts';
import type { ProxySource } from './proxy-protocol.ts';
import { createSparing } from './sparing.ts';
import { secureContextOptions } from './tls-credentials.ts';
import type { TlsCredentials } from './tls-credentials.ts';

export const handshakeTimeoutMs = 10_000;
const defaultMaxHandshakes = 1_000;
/** In a second: a stranger can fail as often as it likes. */
const failuresSaid = 10;
/** More peers than one server is for; further connections are closed as they come. */
const defaultMaxConnections = 20_000;

export interface TlsListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Asked at each connection, so that a rotation needs no restart. Throws while there are none: the connection is closed. */
  readonly credentials: () => TlsCredentials;
  /** Judges the chain that the client sent (never empty). What it throws refuses the connection. */
  readonly verifyPeer: (chain: Uint8Array[]) => SpiffeId | undefined;
  readonly handshakeTimeoutMs?: number;
  readonly maxHandshakes?: number;
  readonly maxConnections?: number;
  /** From these addresses a PROXY header is believed. */
  readonly trustedProxies?: BlockList;
}

export interface TlsListenerSurroundings {
  readonly log: RpcLog | undefined;
  /** The one protocol to be spoken; none is negotiated where it is left out. */
  readonly alpnProtocol?: string;
  readonly accept: (socket: TLSSocket, connection: TcpConnection) => void;
}

/** Listens until the server that it returns is closed. */
export async function listenOnTls(options: TlsListenerOptions, around: TlsListenerSurroundings): Promise<Server> {
  const { host, port, credentials, verifyPeer } = options;
  const { log, accept, alpnProtocol } = around;
  const handshakes = createHandshakes({
    most: options.maxHandshakes ?? defaultMaxHandshakes,
    now: () => performance.now(),
  });
  const sparing = createSparing(failuresSaid, () => performance.now());
  const { trustedProxies } = options;
  const timeoutMs = options.handshakeTimeoutMs ?? handshakeTimeoutMs;
  let current: TlsCredentials | undefined;
  /** Whom proxies speak for, by the address of their own connection. */
  const sources = new Map<string, ProxySource>();

  const tls = createTlsServer({
    ...secureContextOptions(undefined),
    requestCert: true,
    rejectUnauthorized: false, // the callback decides, below, before a byte of HTTP/2 is read
    ...(alpnProtocol === undefined ? {} : { ALPNProtocols: [alpnProtocol] }),
    handshakeTimeout: timeoutMs,
  });
  const fail = (socket: Socket, error: unknown): void => {
    sparing((unsaid) => log?.warn(unsaid === 0 ? { err: error } : { err: error, unsaid }, 'TLS handshake failed'));
    socket.destroy();
  };
  tls.on('tlsClientError', (error, socket) => fail(socket, error));
  tls.on('secureConnection', (socket) => {
    handshakes.done(socket);
    socket.on('error', () => socket.destroy());
    try {
      checkNegotiated(socket, alpnProtocol);
      accept(socket, identifyPeer(socket, sources, verifyPeer));
    } catch (error) {
      log?.warn({ err: error, peer: addressOf(socket) }, 'connection refused: its certificate was not accepted');
      socket.destroy();
    }
  });

  const shakeHands = (socket: Socket): void => {
    try {
      const latest = credentials();
      if (latest.certificateChainPem !== current?.certificateChainPem || latest.privateKey !== current.privateKey) {
        tls.setSecureContext(secureContextOptions(latest));
        current = latest;
      }
      tls.emit('connection', socket);
    } catch (error) {
      log?.error({ err: error }, 'connection refused: this server has no certificate to show');
      socket.destroy();
    }
  };

  /** False where the connection is refused. */
  const takeSource = async (socket: Socket): Promise<boolean> => {
    const proxy = addressOf(socket);
    try {
      const source = await takeProxyHeader(socket, timeoutMs);
      if (source !== undefined) {
        sources.set(proxy, source);
        socket.once('close', () => sources.delete(proxy));
      }
      return true;
    } catch (error) {
      log?.warn({ err: error, peer: proxy }, 'connection refused: its proxy did not say whose it is');
      socket.destroy();
      return false;
    }
  };

  const welcome = async (socket: Socket): Promise<void> => {
    try {
      if (!(await hasFirstByte(socket, timeoutMs))) return;
      if (trustedProxies !== undefined && isTrusted(trustedProxies, socket.remoteAddress)) {
        // A balancer's own look at the port has its header, too, and nothing after it.
        if (!(await takeSource(socket)) || !(await hasFirstByte(socket, timeoutMs))) return;
      }
      shakeHands(socket);
    } catch (error) {
      fail(socket, error);
    }
  };

  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    if (handshakes.begin(socket)) void welcome(socket);
    else socket.destroy();
  });
  server.maxConnections = options.maxConnections ?? defaultMaxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  return server;
}

function checkNegotiated(socket: TLSSocket, protocol: string | undefined): void {
  if (protocol !== undefined && socket.alpnProtocol !== protocol)
    throw new Error(`client did not negotiate ${protocol}`);
  if (socket.isSessionReused()) throw new Error('client resumed a session: its certificate was not shown again');
}

/** Throws where the connection is not to be used. */
function identifyPeer(
  socket: TLSSocket,
  sources: ReadonlyMap<string, ProxySource>,
  verifyPeer: TlsListenerOptions['verifyPeer'],
): TcpConnection {
  const source = sources.get(addressOf(socket));
  const address = source === undefined ? addressOf(socket) : `${source.address}:${source.port}`;
  const peerChain = takePeerChain(socket);
  if (peerChain.length === 0) return { transport: 'tcp', address, peerChain };
  const peerId = verifyPeer(peerChain);
  return { transport: 'tcp', address, peerChain, ...(peerId === undefined ? {} : { peerId }) };
}
