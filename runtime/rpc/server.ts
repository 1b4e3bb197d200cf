// A gRPC server that knows its callers: it accepts connections itself, over TLS or a Unix socket, and hands them to grpc-js once they have a name.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServiceDefinition as GrpcServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { CallObserver, Intercept, RpcLog } from './call-context.ts';
import { createCallLimit } from './call-limit.ts';
import type { Connection, UnixConnection } from './connection.ts';
import { adaptHandler } from './handler-adapter.ts';
import type { Handlers, ServiceDefinition } from './service.ts';
import { createShare } from './shares.ts';
import type { Shares } from './shares.ts';
import { closeWhereSilent } from './silence.ts';
import { unimplemented } from './status.ts';
import { createStreamShare } from './stream-share.ts';
import { alpnProtocol } from './tls-credentials.ts';
import { listenOnTls } from './tls-listener.ts';
import type { TlsListenerOptions } from './tls-listener.ts';
import { listenOnUnixSocket } from './unix-listener.ts';

export interface RpcServerOptions {
  readonly log?: RpcLog;
  /** Of one request, before and after inflation. */
  readonly maxMessageBytes?: number;
  /** Runs before each handler: authorization, rate limits. */
  readonly intercept?: Intercept;
  /** Each makes an observer for a method, or none. */
  readonly observe?: readonly ((method: string) => CallObserver | undefined)[];
  /** Calls with one answer that run at once; more are refused. */
  readonly maxRunningCalls?: number;
  /** Connections at once on each listener; one more is closed as soon as it is made. As many as the process may have files where left out. */
  readonly maxConnections?: number;
  /** Streams of answers at once, on all connections; more are refused. */
  readonly maxOpenStreams?: number;
  /** Of the connections and streams of a Unix socket, for each process and each user; all that there is where left out. */
  readonly shares?: Shares;
  /** How long a peer that has connected may say nothing at all. */
  readonly firstWordMs?: number;
  /** Connections older than this are told to reconnect, and cut a minute later; SPIRE has 3 min on TCP. Without it they live on. */
  readonly maxConnectionAgeMs?: number;
}

export interface RpcServer {
  addService<D extends ServiceDefinition>(definition: D, handlers: Handlers<D>): void;
  /** The mode is that of the socket file, like 0o770. */
  listenUnix(path: string, options: { readonly mode: number }): Promise<void>;
  listenTls(options: TlsListenerOptions): Promise<AddressInfo>;
  /** Refuses new calls, lets running ones end until the grace is over, then cuts them. */
  close(graceMs?: number): Promise<void>;
}

export const defaultMaxMessageBytes = 4 * 1024 * 1024;
const maxConcurrentStreams = 1000;
/** A second or two of work. */
const defaultMaxRunningCalls = 4000;
const connectionAgeGraceMs = 60_000;
/** A peer that vanished without a word is noticed after these. */
const keepAliveMs = 120_000;
const keepAliveTimeoutMs = 20_000;
const defaultGraceMs = 10_000;
/** Whoever goes on opening streams on a connection after so many refusals loses it: a refused stream is held until its caller lets it go. */
const maxRefusedStreams = 100;

interface NamedConnection {
  readonly connection: Connection;
  readonly socket: Socket;
  refusedStreams: number;
}

/** Creates a server that offers nothing and listens nowhere yet. */
export function createRpcServer(options: RpcServerOptions = {}): RpcServer {
  const { log, intercept, maxConnectionAgeMs, shares, observe = [] } = options;
  const connections = new Map<string, NamedConnection>();
  const connectionOf = (peer: string): Connection | undefined => connections.get(peer)?.connection;
  const connectionShare = shares && createShare('connections', shares.connectionsPerProcess, shares.connectionsPerUser);
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageBytes ?? defaultMaxMessageBytes,
    'grpc.max_concurrent_streams': maxConcurrentStreams,
    'grpc.keepalive_time_ms': keepAliveMs,
    'grpc.keepalive_timeout_ms': keepAliveTimeoutMs,
    'grpc.enable_channelz': 0,
    ...(shares === undefined ? {} : { interceptors: [streamShareOf(shares)] }),
    ...(maxConnectionAgeMs === undefined
      ? {}
      : { 'grpc.max_connection_age_ms': maxConnectionAgeMs, 'grpc.max_connection_age_grace_ms': connectionAgeGraceMs }),
  });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const limit = createCallLimit(options.maxRunningCalls ?? defaultMaxRunningCalls);
  const streamLimit = createCallLimit(options.maxOpenStreams ?? Infinity);
  const listeners: NetServer[] = [];
  const sockets = new Set<Socket>();
  let accepted = 0;

  function streamShareOf({ streamsPerProcess, streamsPerUser }: Shares) {
    const share = createShare('streams', streamsPerProcess, streamsPerUser);
    const onRefused = (peer: string): void => {
      const named = connections.get(peer);
      if (named === undefined) return;
      named.refusedStreams += 1;
      if (named.refusedStreams > maxRefusedStreams) named.socket.destroy();
    };
    return createStreamShare({ share, connectionOf, onRefused });
  }

  let refusedAt = Number.NEGATIVE_INFINITY;
  /** Whoever is refused once is refused many times: once a second says enough. */
  const noteRefused = (connection: Connection, reason: string): void => {
    if (performance.now() - refusedAt < 1_000) return;
    refusedAt = performance.now();
    const { pid, uid } = connection as UnixConnection;
    log?.warn({ pid, uid, reason }, 'connection refused: its process or user has too many');
  };

  // grpc-js offers no place for our knowledge of a connection, but `call.getPeer()` gives back the socket's `remoteAddress`: so that is its name.
  const accept = (socket: Socket, connection: Connection): void => {
    const exceeded = connectionShare?.enter(connection);
    if (exceeded !== undefined) {
      socket.destroy();
      noteRefused(connection, exceeded);
      return;
    }
    accepted += 1;
    const name = `connection-${accepted}`;
    connections.set(name, { connection, socket, refusedStreams: 0 });
    socket.once('close', () => {
      connections.delete(name);
      connectionShare?.leave(connection);
    });
    closeWhereSilent(socket, options.firstWordMs);
    Object.defineProperty(socket, 'remoteAddress', { value: name, configurable: true });
    Object.defineProperty(socket, 'remotePort', { value: undefined, configurable: true });
    injector.injectConnection(socket);
  };

  const keep = (listener: NetServer): NetServer => {
    if (options.maxConnections !== undefined) listener.maxConnections = options.maxConnections;
    listener.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    listener.on('error', (error) => log?.error({ err: error }, 'listener failed'));
    listeners.push(listener);
    return listener;
  };

  return {
    addService(definition, handlers) {
      const common = { connectionOf, intercept, log, limit, streamLimit };
      const implementation: UntypedServiceImplementation = {};
      for (const [name, method] of Object.entries(definition)) {
        const handler = (handlers as Readonly<Record<string, unknown>>)[name] ?? notOffered(method.path);
        const observers = observe.flatMap((create) => create(method.path) ?? []);
        implementation[name] = adaptHandler(method, handler, { ...common, observers });
      }
      server.addService(definition as unknown as GrpcServiceDefinition, implementation);
    },
    async listenUnix(path, { mode }) {
      keep(await listenOnUnixSocket({ path, mode, log, accept }));
    },
    async listenTls(listenerOptions) {
      return keep(await listenOnTls(listenerOptions, { log, alpnProtocol, accept })).address() as AddressInfo;
    },
    async close(graceMs = defaultGraceMs) {
      const stopped = listeners.map((listener) => new Promise<void>((resolve) => listener.close(() => resolve())));
      // Its callback says nothing: Node has marked the sessions as closed by then, though their calls still run. A session without calls closes
      // its socket, so the sockets tell.
      server.tryShutdown(() => undefined);
      await allClosed(sockets, graceMs);
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
      await Promise.all(stopped);
    },
  };
}

/** Answers for a method that its service does not offer, once the interceptor has let the call through: strangers learn nothing of what is there. */
function notOffered(path: string): () => never {
  return () => {
    throw unimplemented(`method ${path.slice(path.lastIndexOf('/') + 1)} not implemented`);
  };
}

/** Resolves when the last socket has closed, or after the grace. */
function allClosed(sockets: ReadonlySet<Socket>, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (sockets.size > 0) return;
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(resolve, graceMs);
    for (const socket of sockets) socket.once('close', check);
    check();
  });
}
