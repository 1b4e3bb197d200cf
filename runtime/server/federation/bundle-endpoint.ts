// The SPIFFE bundle endpoint (SPIFFE Federation §5): serves our trust domain's bundle to whoever asks, over HTTPS, and nothing else. The bundle is
// public; what is guarded is the server behind it, by limits on how many may ask, how long they may take and how much they may say.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '../../log.ts';
import { secureContextOptions } from '../../rpc/tls-credentials.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import { encodeSpiffeBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';

export interface BundleEndpointOptions {
  readonly host: string;
  readonly port: number;
  /** Of the served bundle; the store's own says nothing. */
  readonly refreshHintSeconds: number;
  /** As new as this server knows it; the same object as long as it has not changed. */
  readonly bundle: () => TrustBundle;
  /** Asked at each connection, so that a rotation needs no restart. */
  readonly credentials: () => TlsCredentials;
  readonly log: Logger;
  readonly limits?: Partial<EndpointLimits>;
}

export interface EndpointLimits {
  readonly connections: number;
  /** For the TLS handshake, for the headers and for the whole request, each. */
  readonly requestMs: number;
  /** For a connection on which nothing moves. */
  readonly idleMs: number;
}

export interface BundleEndpoint {
  readonly address: { readonly host: string; readonly port: number };
  /** Cuts the connections too. */
  close(): Promise<void>;
}

const defaultLimits: EndpointLimits = { connections: 1_000, requestMs: 10_000, idleMs: 60_000 };
/** Node looks for late requests this often; its default of 30 s would make 40 s of 10. */
const checkMs = 1_000;

export async function listenForBundles(options: BundleEndpointOptions): Promise<BundleEndpoint> {
  const { host, port, log } = options;
  const { connections, requestMs, idleMs } = { ...defaultLimits, ...options.limits };
  const document = createDocument(options);

  const server = createServer({
    ...secureContextOptions(undefined),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: requestMs,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: Math.min(checkMs, requestMs),
  });
  server.maxConnections = connections;
  server.setTimeout(idleMs);
  server.on('request', (asked, response) => answer(asked, response, document, log));
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error }, 'TLS handshake failed');
    socket.destroy();
  });

  const renewCredentials = createRenewal(options, (credentials) =>
    server.setSecureContext(secureContextOptions(credentials)),
  );
  server.prependListener('connection', (socket: Socket) => {
    socket.on('error', () => socket.destroy());
    renewCredentials();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  server.on('error', (error) => log.warn({ err: error }, 'Error serving the bundle endpoint'));
  const address = server.address() as AddressInfo;
  const addr = `${host}:${address.port}`;
  log.info({ addr, refresh_hint: `${options.refreshHintSeconds}s` }, 'Serving bundle endpoint');
  return {
    address: { host, port: address.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Encoding costs more than serving: it is done once for each bundle. */
function createDocument({ bundle, refreshHintSeconds }: BundleEndpointOptions): () => string {
  let encoded: { readonly of: TrustBundle; readonly text: string } | undefined;
  return () => {
    const current = bundle();
    if (encoded?.of !== current)
      encoded = { of: current, text: encodeSpiffeBundle({ ...current, refreshHintSeconds }) };
    return encoded.text;
  };
}

/** Before the handshake begins. Where there is nothing new to show, the certificate before stays; without any, the handshake fails. */
function createRenewal({ credentials, log }: BundleEndpointOptions, use: (credentials: TlsCredentials) => void) {
  let used: TlsCredentials | undefined;
  return (): void => {
    try {
      const latest = credentials();
      if (latest.certificateChainPem === used?.certificateChainPem && latest.privateKey === used.privateKey) return;
      use(latest);
      used = latest;
    } catch (error) {
      log.error({ err: error }, 'Bundle endpoint has no new certificate to show');
    }
  };
}

/** SPIRE's answers, to the letter. */
function answer({ method, url }: IncomingMessage, response: ServerResponse, document: () => string, log: Logger): void {
  if (method !== 'GET') return refuse(response.setHeader('allow', 'GET'), 405, '405 method not allowed');
  const [path] = (url ?? '').split('?');
  if (path !== '/') return refuse(response, 404, '404 page not found');
  try {
    const text = document();
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  } catch (error) {
    log.error({ err: error }, 'Unable to marshal local bundle');
    refuse(response, 500, '500 unable to marshal local bundle');
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  response.end(`${text}\n`);
}
