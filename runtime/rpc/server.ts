// A gRPC server that knows its callers: it accepts connections over TLS or a Unix socket, and speaks HTTP/2 with them once it is known whose they are.
import { constants } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { CallObserver, Intercept, RpcLog } from './call-context.ts';
import { createCallLimit } from './call-limit.ts';
import type { Connection, UnixConnection } from './connection.ts';
import { adaptHandler } from './handler-adapter.ts';
import type { CallRunner } from './handler-adapter.ts';
import { ServerCall } from './server-call.ts';
import { createSessions } from './server-sessions.ts';
import type { Handlers, ServiceDefinition } from './service.ts';
import { createOpeningTurns } from './opening-turns.ts';
import { hasHungUp } from './peer-credentials.ts';
import { createShare } from './shares.ts';
import type { Shares } from './shares.ts';
import { closeWhereSilent } from './silence.ts';
import { createSparing } from './sparing.ts';
import { resourceExhausted, unimplemented } from './status.ts';
import type { RpcError } from './status.ts';
import { createStreamShare } from './stream-share.ts';
import { alpnProtocol } from './tls-credentials.ts';
import { listenOnTls } from './tls-listener.ts';
import type { TlsListenerOptions } from './tls-listener.ts';
import { listenOnUnixSocket } from './unix-listener.ts';

export interface RpcServerOptions {
  readonly log?: RpcLog;
  /** Of one request. */
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
/** Names and values of one call. HTTP/2 counts 32 bytes more for each field, so that what it lets through is less. */
const maxMetadataBytes = 16 * 1024;
/** A second or two of work. */
const defaultMaxRunningCalls = 4000;
const defaultGraceMs = 10_000;

/** Creates a server that offers nothing and listens nowhere yet. */
export function createRpcServer(options: RpcServerOptions = {}): RpcServer {
  const { log, intercept, shares, maxMessageBytes = defaultMaxMessageBytes, observe = [] } = options;
  const connectionShare = shares && createShare('connections', shares.connectionsPerProcess, shares.connectionsPerUser);
  const streamShare = shares && createStreamShare(shares, () => performance.now());
  const limit = createCallLimit(options.maxRunningCalls ?? defaultMaxRunningCalls);
  const streamLimit = createCallLimit(options.maxOpenStreams ?? Infinity);
  const listeners: NetServer[] = [];
  const sockets = new Set<Socket>();
  const services = new Set<string>();
  /** By `/package.Service/Method`, byte by byte. */
  const runners = new Map<string, CallRunner>();

  const onStream = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    connection: Connection,
  ): void => {
    const path = headers[':path'] ?? '';
    const run = runners.get(path);
    const call = new ServerCall(stream, headers, { connection, method: path, maxMessageBytes });
    const refusal = refusalOf(headers);
    const bytes = sizeOf(rawHeaders);
    const exceeded = streamShare?.enter(stream, connection);
    if (exceeded !== undefined) call.fail(resourceExhausted(exceeded));
    else if (refusal !== undefined) call.refuse(refusal);
    else if (run === undefined) call.fail(notHere(path, services));
    else if (bytes > maxMetadataBytes)
      call.fail(resourceExhausted(`metadata has ${bytes} bytes, at most ${maxMetadataBytes} are taken`));
    else run(call);
  };
  const openInTurn = createOpeningTurns();
  let isClosing = false;
  const sessions = createSessions({ maxHeaderBytes: maxMetadataBytes, maxAgeMs: options.maxConnectionAgeMs, onStream });

  const sparing = createSparing(1, () => performance.now());
  /** Whoever is refused once is refused many times: once a second says enough. */
  const noteRefused = (connection: Connection, reason: string): void => {
    const { pid, uid } = connection as UnixConnection;
    sparing((unsaid) =>
      log?.warn({ pid, uid, reason, unsaid }, 'connection refused: its process or user asks for too much'),
    );
  };

  const accept = (socket: Socket, connection: Connection): void => {
    const exceeded = streamShare?.refusesConnection(connection) ?? connectionShare?.enter(connection);
    if (exceeded !== undefined) {
      socket.destroy();
      noteRefused(connection, exceeded);
      return;
    }
    socket.once('close', () => connectionShare?.leave(connection));
    closeWhereSilent(socket, options.firstWordMs);
    openInTurn(socket, connection, () => {
      // Whoever has gone meanwhile is not answered: the calls that it left would cost as much as those of the others.
      if (isClosing || (connection.transport === 'unix' && hasHungUp(socket))) socket.destroy();
      else sessions.open(socket, connection);
    });
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
      for (const [name, method] of Object.entries(definition)) {
        const handler = (handlers as Readonly<Record<string, unknown>>)[name] ?? notOffered(method.path);
        const observers = observe.flatMap((create) => create(method.path) ?? []);
        runners.set(method.path, adaptHandler(method, handler, { intercept, log, limit, streamLimit, observers }));
        services.add(serviceOf(method.path));
      }
    },
    async listenUnix(path, { mode }) {
      keep(await listenOnUnixSocket({ path, mode, log, accept }));
    },
    async listenTls(listenerOptions) {
      return keep(await listenOnTls(listenerOptions, { log, alpnProtocol, accept })).address() as AddressInfo;
    },
    async close(graceMs = defaultGraceMs) {
      const stopped = listeners.map((listener) => new Promise<void>((resolve) => listener.close(() => resolve())));
      isClosing = true;
      // A session without calls closes its socket, so the sockets tell when all is done.
      sessions.close();
      await allClosed(sockets, graceMs);
      sessions.cut();
      for (const socket of sockets) socket.destroy();
      await Promise.all(stopped);
    },
  };
}

/** gRPC is a POST of its own content type; whatever else comes gets HTTP's own answer. */
function refusalOf(headers: IncomingHttpHeaders): number | undefined {
  if (headers[':method'] !== 'POST') return constants.HTTP_STATUS_METHOD_NOT_ALLOWED;
  const isGrpc = headers['content-type']?.startsWith('application/grpc') === true;
  return isGrpc ? undefined : constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE;
}

/** Of all names and values. */
function sizeOf(rawHeaders: readonly string[]): number {
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  return bytes;
}

function serviceOf(path: string): string {
  return path.slice(1, Math.max(1, path.lastIndexOf('/')));
}

/** In the words of gRPC in Go, which SPIRE answers with. */
function notHere(path: string, services: ReadonlySet<string>): RpcError {
  const service = serviceOf(path);
  if (!services.has(service)) return unimplemented(`unknown service ${service}`);
  return unimplemented(`unknown method ${path.slice(path.lastIndexOf('/') + 1)} for service ${service}`);
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
