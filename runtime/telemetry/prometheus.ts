// The port that Prometheus reads: the metrics at every path, plain or over TLS with certificate files or with the program's own SVID.
import { readFile } from 'node:fs/promises';
import type { RequestListener, Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../log.ts';
import { createServer } from '../rpc/node-http.ts';
import type { TlsCredentials } from '../rpc/tls-credentials.ts';
import { listenOnTls } from '../rpc/tls-listener.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { FileTls, PrometheusConfig } from './config.ts';
import { contentType, expose } from './exposition.ts';
import type { Registry } from './registry.ts';

export interface PrometheusOptions {
  readonly registry: Registry;
  /** The program's own X.509-SVID; throws while there is none, which refuses the connection. */
  readonly credentials: () => TlsCredentials;
  /** Judges a client's chain by the bundle of our trust domain; throws. */
  readonly verifyClient: (chain: Uint8Array[]) => SpiffeId;
  readonly log: Logger;
}

export interface PrometheusListener {
  readonly port: number;
  close(): Promise<void>;
}

const readTimeoutMs = 10_000;

export async function listenForPrometheus(
  config: PrometheusConfig,
  options: PrometheusOptions,
): Promise<PrometheusListener> {
  const { log } = options;
  if (config.host !== 'localhost') {
    log.warn(
      'Agent is now configured to accept remote network connections for Prometheus stats collection. Please ensure access to this port is tightly controlled',
    );
  }
  const show: RequestListener = (_request, response) => {
    try {
      const text = expose(options.registry);
      response.writeHead(200, { 'content-type': contentType }).end(text);
    } catch (error) {
      log.error({ err: error }, 'Metrics could not be read');
      response.writeHead(500).end();
    }
  };
  const listener = await open(config, options, show);
  log.info({ host: config.host, port: listener.port }, 'Starting prometheus exporter');
  return listener;
}

async function open(
  config: PrometheusConfig,
  options: PrometheusOptions,
  show: RequestListener,
): Promise<PrometheusListener> {
  const { tls, authorizedIds } = config;
  if (tls === undefined) return listen(createServer(show), config);
  if (tls.kind === 'files' && authorizedIds.length === 0) return listen(await createFileServer(tls, show), config);
  const credentials = tls.kind === 'svid' ? options.credentials : await fileCredentials(tls);
  return listenWithSpiffe(config, { ...options, credentials }, createServer(show));
}

async function listen(server: HttpServer, { host, port }: PrometheusConfig): Promise<PrometheusListener> {
  server.headersTimeout = readTimeoutMs;
  server.requestTimeout = readTimeoutMs;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function createFileServer(tls: FileTls, show: RequestListener): Promise<HttpServer> {
  const { certificateChainPem, privateKey } = await readPair(tls);
  const clients =
    tls.clientCaFile === undefined
      ? {}
      : { ca: await read(tls.clientCaFile), requestCert: true, rejectUnauthorized: true };
  return createHttpsServer({ cert: certificateChainPem, key: privateKey, minVersion: 'TLSv1.2', ...clients }, show);
}

async function fileCredentials(tls: FileTls): Promise<() => TlsCredentials> {
  const pair = await readPair(tls);
  return () => pair;
}

async function readPair({ certFile, keyFile }: FileTls): Promise<{ certificateChainPem: string; privateKey: string }> {
  return { certificateChainPem: await read(certFile), privateKey: await read(keyFile) };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new Error(`failed to create TLS config for Prometheus: unable to read "${path}"`, { cause });
  }
}

/** Clients are judged by our own check, as those of the APIs are, before HTTP sees a byte. */
async function listenWithSpiffe(
  { host, port, authorizedIds }: PrometheusConfig,
  { credentials, verifyClient, log }: PrometheusOptions,
  http: HttpServer,
): Promise<PrometheusListener> {
  const admitted = new Set(authorizedIds.map(String));
  const listener = await listenOnTls(
    {
      host,
      port,
      credentials,
      verifyPeer: (chain) => (admitted.size === 0 ? undefined : verifyClient(chain)),
      handshakeTimeoutMs: readTimeoutMs,
    },
    {
      log,
      accept(socket, { peerId }) {
        if (admitted.size > 0 && !admitted.has(String(peerId)))
          throw new Error(`client ${peerId === undefined ? 'without an X509-SVID' : String(peerId)} is not authorized`);
        http.emit('connection', socket);
      },
    },
  );
  return {
    port: (listener.address() as AddressInfo).port,
    close() {
      http.closeAllConnections();
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}
