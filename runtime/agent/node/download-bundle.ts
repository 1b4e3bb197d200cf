// Fetches the text of a trust bundle by HTTP, over TLS or over a Unix socket of this machine. A mebibyte at most, ten seconds at most, no redirects.
import type { IncomingMessage } from 'node:http';
import { request } from '../../rpc/node-http.ts';

const downloadMs = 10_000;
const longestBundle = 1024 * 1024;

export async function downloadBundle(url: string): Promise<string> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(downloadMs) });
  if (!response.ok) throw new Error(`trust bundle ${url} answers ${response.status}`);
  return readBody(url, response.body ?? []);
}

export async function downloadOverUnixSocket(socketPath: string, url: URL): Promise<string> {
  const signal = AbortSignal.timeout(downloadMs);
  const { pathname, search, host } = url;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path: pathname + search, headers: { host }, signal }, resolve)
      .once('error', reject)
      .end();
  });
  if (response.statusCode === 200) return readBody(socketPath, response);
  response.destroy();
  throw new Error(`trust bundle ${socketPath} answers ${response.statusCode ?? 0}`);
}

async function readBody(place: string, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > longestBundle) throw new Error(`trust bundle ${place} has more than ${longestBundle} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
