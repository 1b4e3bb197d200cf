// One HTTP/1.1 GET over a connection that is verified already, which is used up. The other side decides neither how much is read nor how long it takes.
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { FederationError } from './errors.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly location: string | undefined;
  /** Empty unless the status is 200. */
  readonly body: string;
}

export interface HttpGet {
  readonly host: string;
  readonly path: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

export async function httpGet(socket: TLSSocket, { host, path, maxBytes, signal }: HttpGet): Promise<HttpAnswer> {
  try {
    const response = await send(socket, { host, path, signal });
    const { statusCode: status = 0, headers } = response;
    if (status !== 200) return { status, location: headers.location, body: '' };
    const encoding = headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity')
      throw new FederationError('ENDPOINT', `endpoint sent the content encoding ${JSON.stringify(encoding)} unasked`);
    return { status, location: undefined, body: decode(await readBody(response, maxBytes)) };
  } finally {
    socket.destroy();
  }
}

function send(socket: TLSSocket, { host, path, signal }: Omit<HttpGet, 'maxBytes'>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { host, accept: 'application/json', 'accept-encoding': 'identity', connection: 'close' };
    const asking = request({ createConnection: () => socket, path, headers, signal });
    asking.once('error', reject);
    asking.once('response', resolve);
    asking.end();
  });
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new FederationError('TOO_LARGE', `bundle is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new FederationError('BUNDLE', 'bundle is not UTF-8', { cause });
  }
}
