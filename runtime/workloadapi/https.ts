// HTTP over mutual TLS for programs that use Node's own `http` and `https`: a listener that knows who asks, and an agent for `https.request`. A
// connection is verified and authorized before the first byte of HTTP.
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'node:https';
import type { AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { createMtlsServer, connectMtls } from './mtls.ts';
import type { ConnectMtlsOptions, MtlsPeer, MtlsServer, MtlsServerOptions } from './mtls.ts';
import { annotateSpan } from './spans.ts';
import type { Span } from './spans.ts';

export type HttpsHandler = (request: IncomingMessage, response: ServerResponse, peer: MtlsPeer) => void;

export interface HttpsServerOptions extends Omit<MtlsServerOptions, 'accept' | 'alpnProtocol'> {
  readonly handler: HttpsHandler;
  /** Of one request, head and body (ms). */
  readonly requestTimeoutMs?: number;
  /** The span of the request that begins, where the program traces: it learns both SPIFFE IDs. */
  readonly activeSpan?: () => Span | undefined;
}

const defaultRequestTimeoutMs = 60_000;

/** Listens until it is closed. */
export function createHttpsServer(options: HttpsServerOptions): Promise<MtlsServer> {
  const { handler, activeSpan, requestTimeoutMs = defaultRequestTimeoutMs, ...listen } = options;
  const peers = new WeakMap<object, MtlsPeer>();
  const http = createServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
    (request, response) => {
      const peer = peers.get(request.socket);
      if (peer === undefined) throw new Error('connection has no peer');
      annotateSpan(activeSpan?.(), { self: listen.source.svid().id, peer: peer.id });
      handler(request, response, peer);
    },
  );
  return createMtlsServer({
    ...listen,
    accept(socket, peer) {
      peers.set(socket, peer);
      http.emit('connection', socket);
    },
  });
}

export interface HttpsAgentOptions extends Omit<ConnectMtlsOptions, 'host' | 'port'> {
  /** `keepAlive` and `maxSockets` for instance; what Node would verify by is not asked. */
  readonly agent?: Pick<AgentOptions, 'keepAlive' | 'keepAliveMsecs' | 'maxSockets' | 'maxFreeSockets' | 'timeout'>;
  readonly activeSpan?: () => Span | undefined;
}

/** For `https.request({ agent })`: each of its connections is to a server that is verified and authorized. */
export function createHttpsAgent({ agent, activeSpan, ...mtls }: HttpsAgentOptions): Agent {
  return new SpiffeAgent(agent ?? {}, async ({ host, port }) => {
    const { socket, peerId } = await connectMtls({ ...mtls, host, port });
    annotateSpan(activeSpan?.(), { self: mtls.source.svid().id, peer: peerId });
    return socket;
  });
}

type Dial = (to: { readonly host: string; readonly port: number }) => Promise<Duplex>;

class SpiffeAgent extends Agent {
  readonly #dial: Dial;

  constructor(options: AgentOptions, dial: Dial) {
    super(options);
    this.#dial = dial;
  }

  /** Node takes the socket from the callback where nothing is returned. */
  override createConnection(
    options: { readonly host?: string | null; readonly port?: string | number | null },
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    const done = callback as (error: Error | null, stream?: Duplex) => void;
    this.#dial({ host: options.host ?? 'localhost', port: Number(options.port ?? 443) }).then(
      (socket) => done(null, socket),
      (error: unknown) => done(error as Error),
    );
  }
}
