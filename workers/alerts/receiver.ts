// `espalier alerts`: takes what Alertmanager posts and has runbooks started. Nobody is heard without the shared secret or a certificate of the named CA, and
// no body is read beyond its limit.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { isIPv4, isIPv6 } from 'node:net';
import type { AddressInfo } from 'node:net';
import { parsePayload } from './payload.ts';
import { startRunbook } from './start-runbooks.ts';
import type { Handled, StartRunbooksOptions } from './start-runbooks.ts';

export interface ReceiverOptions extends StartRunbooksOptions {
  readonly host: string;
  readonly port: number;
  /** Sent as `Authorization: Bearer …`; one of the two must be there. */
  readonly secret?: string | undefined;
  readonly tls?:
    { readonly certificate: string; readonly key: string; readonly clientCa?: string | undefined } | undefined;
  /** A line for each alert and each refusal. */
  readonly say: (line: string) => void;
}

export interface Receiver {
  readonly url: string;
  close(): Promise<void>;
}

const path = '/alerts';
/** A thousand alerts with long labels. */
const largestBody = 1_048_576;
const patienceMs = 10_000;
const shortestSecret = 16;

/** Throws where nobody would have to prove who they are, or where a secret would go over the network in the clear. */
export async function openReceiver(options: ReceiverOptions): Promise<Receiver> {
  const { host, port, secret, tls } = options;
  const isMutual = tls?.clientCa !== undefined;
  if (secret === undefined && !isMutual)
    throw new Error('alerts need a shared secret, or TLS with the CA of their senders');
  if (secret !== undefined && secret.length < shortestSecret)
    throw new Error(`the shared secret has ${secret.length} characters, and must have ${shortestSecret} at least`);
  if (tls === undefined && !isLoopback(host)) throw new Error(`without TLS alerts are taken on loopback only: ${host}`);
  const listen = (request: IncomingMessage, response: ServerResponse): void => void answer(request, response, options);
  const settings = { requestTimeout: patienceMs, headersTimeout: patienceMs, maxHeaderSize: 16_384 };
  const server: Server =
    tls === undefined
      ? createServer(settings, listen)
      : createTlsServer(
          {
            ...settings,
            cert: tls.certificate,
            key: tls.key,
            minVersion: 'TLSv1.2',
            ...(isMutual ? { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true } : {}),
          },
          listen,
        );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { address, port: taken } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${isIPv6(address) ? `[${address}]` : address}:${taken}${path}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: ReceiverOptions): Promise<void> {
  const from = request.socket.remoteAddress ?? 'somebody';
  const refuse = (status: number, why: string, headers: Readonly<Record<string, string>> = {}): void => {
    options.say(`refused what ${from} sent: ${why}`);
    response
      .writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close', ...headers })
      .end(`${why}\n`);
  };
  try {
    if (request.url !== path) return refuse(404, `there is nothing at ${JSON.stringify(request.url ?? '')}`);
    if (request.method !== 'POST') return refuse(405, `${request.method ?? ''} is not taken`, { allow: 'POST' });
    if (options.secret !== undefined && !isSecret(request.headers.authorization, options.secret))
      return refuse(401, 'the shared secret is missing or wrong', { 'www-authenticate': 'Bearer' });
    const body = await readBody(request);
    if (body === undefined) return refuse(413, `the body is longer than ${largestBody} bytes`);
    const alerts = parsed(body);
    if (typeof alerts === 'string') return refuse(400, alerts);
    const handled: Handled[] = [];
    for (const alert of alerts) {
      const one = await startRunbook(alert, options);
      options.say(
        `${one.alert} ${one.fingerprint} ${alert.status}: ${one.outcome}${one.why === undefined ? '' : `, as ${one.why}`}${one.workflowId === undefined ? '' : `, ${one.workflowId}`}`,
      );
      handled.push(one);
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify({ alerts: handled })}\n`);
  } catch (cause) {
    // Alertmanager sends it again.
    refuse(503, `Temporal does not take it: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function parsed(body: string) {
  try {
    return parsePayload(body);
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > largestBody) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** In the same time, whatever was sent. */
function isSecret(header: string | undefined, secret: string): boolean {
  const [, sent = ''] = /^Bearer +(\S+) *$/i.exec(header ?? '') ?? [];
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(sent), digest(secret));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
