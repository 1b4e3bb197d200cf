// The few lines of HTTP that the lab's listeners share: a whole request in, a whole response out.
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LabRequest {
  readonly method: string;
  /** The path as sent, still percent-encoded. */
  readonly path: string;
  /** The query as sent, without its question mark. */
  readonly rawQuery: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The address of who asks. */
  readonly from: string;
}

export interface LabResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

export type Handler = (request: LabRequest) => LabResponse | Promise<LabResponse>;

export interface Listener {
  readonly port: number;
  close(): Promise<void>;
}

const largestBody = 4 * 1024 * 1024;

/** Listens on one loopback address. A handler that throws is a defect of the lab: it answers 500 and says so in the log. */
export async function listen(
  host: string,
  port: number,
  handle: Handler,
  log: (line: string) => void,
): Promise<Listener> {
  const server = createServer((incoming, outgoing) => {
    void respond(incoming, handle).then(
      (response) => {
        outgoing.writeHead(response.status, {
          'content-length': Buffer.byteLength(response.body),
          ...response.headers,
        });
        outgoing.end(response.body);
      },
      (cause: unknown) => {
        log(
          `${incoming.method ?? ''} ${incoming.url ?? ''}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`,
        );
        outgoing.writeHead(500).end('internal error of the lab\n');
      },
    );
  });
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(incoming: IncomingMessage, handle: Handler): Promise<LabResponse> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestBody) return { status: 413, body: 'request body too large\n' };
    chunks.push(chunk);
  }
  const url = incoming.url ?? '/';
  const mark = url.indexOf('?');
  const rawQuery = mark < 0 ? '' : url.slice(mark + 1);
  return handle({
    method: incoming.method ?? 'GET',
    path: mark < 0 ? url : url.slice(0, mark),
    rawQuery,
    query: new URLSearchParams(rawQuery),
    headers: incoming.headers,
    body: Buffer.concat(chunks),
    from: incoming.socket.remoteAddress ?? '',
  });
}

/** A header's one value; repeated headers come joined, as Node joins them. */
export function header(request: LabRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): LabResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): LabResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}
