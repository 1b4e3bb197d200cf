// A small HTTP service on loopback that answers from a table and remembers what it was asked.
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpService {
  /** `127.0.0.1:port` */
  readonly host: string;
  readonly url: string;
  readonly requests: {
    readonly method: string;
    readonly url: string;
    readonly body: string;
    readonly headers: IncomingMessage['headers'];
    /** Common name of the client's certificate, where it showed one that its CA knows. */
    readonly clientName: string | undefined;
  }[];
  close(): Promise<void>;
}

export async function startHttpService(
  answer: (request: HttpService['requests'][number]) => Answer,
  /** Plain HTTP where left out. */
  tls?: ServerOptions,
): Promise<HttpService> {
  const requests: HttpService['requests'] = [];
  const respond = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    let body = '';
    incoming.setEncoding('utf8');
    incoming.on('data', (chunk: string) => (body += chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers: asked, socket } = incoming;
      const request = { method, url, body, headers: asked, clientName: clientNameOf(socket) };
      requests.push(request);
      const { status = 200, headers = {}, body: text = '' } = answer(request);
      outgoing.writeHead(status, headers).end(text);
    });
  };
  const server = tls === undefined ? createServer(respond) : createTlsServer(tls, respond);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  return {
    host,
    url: `${tls === undefined ? 'http' : 'https'}://${host}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function clientNameOf(socket: Socket): string | undefined {
  return socket instanceof TLSSocket && socket.authorized ? String(socket.getPeerCertificate().subject.CN) : undefined;
}
