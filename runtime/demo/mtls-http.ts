// HTTP/1.1 with JSON answers over mutual TLS: the listening side for the demonstration workload's two ports, and one request to another's.
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { RpcLog } from '../rpc/call-context.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { WorkloadError } from '../workloadapi/errors.ts';
import { createHttpsServer } from '../workloadapi/https.ts';
import type { MtlsServer } from '../workloadapi/mtls.ts';
import type { X509Source } from '../workloadapi/x509-source.ts';
import type { Listen } from './workload-config.ts';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** One request; the caller is verified and authorized. */
export interface Asked {
  readonly route: string;
  readonly caller: SpiffeId;
  readonly body: string;
}

export interface MtlsHttpOptions extends Listen {
  readonly source: X509Source;
  readonly authorize: (id: SpiffeId) => boolean;
  readonly answer: (asked: Asked) => Promise<Answer>;
  readonly refused: (error: WorkloadError) => void;
  readonly log: RpcLog;
}

const longestBody = 64 * 1024;
const timeoutMs = 10_000;

export function listenForHttp({ answer, log, ...listen }: MtlsHttpOptions): Promise<MtlsServer> {
  const respond = async (asked: IncomingMessage, caller: SpiffeId): Promise<Answer> =>
    answer({ route: `${asked.method ?? ''} ${asked.url ?? ''}`, caller, body: await readBody(asked) });
  return createHttpsServer({
    ...listen,
    log,
    requestTimeoutMs: timeoutMs,
    handler(asked, response, { id }) {
      respond(asked, id)
        .catch((error: unknown): Answer => {
          log.error({ err: error }, 'request failed');
          return { status: 500, body: { error: 'internal error' } };
        })
        .then(({ status, body }) => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(`${JSON.stringify(body)}\n`);
        })
        .catch((error: unknown) => log.error({ err: error }, 'answer was not sent'));
    },
  });
}

/** GET over a socket that is connected and verified, which is used up. Rejects where the other side closes without an answer. */
export function getJson(socket: TLSSocket, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asking = request({
      createConnection: () => socket,
      path,
      headers: { host: 'workload', connection: 'close' },
      timeout: timeoutMs,
    });
    asking.once('timeout', () => asking.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    asking.once('error', reject);
    asking.once('response', (response) => {
      readBody(response).then((text) => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`answer ${response.statusCode ?? 0}: ${text.trim()}`));
      }, reject);
    });
    asking.end();
  });
}

async function readBody(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > longestBody) throw new Error(`body has more than ${longestBody} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
