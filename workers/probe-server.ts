// `/live` and `/ready` over HTTP, for a kubelet. What is good, and where to listen, its owner says.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ProbeAnswer {
  readonly isGood: boolean;
  /** One line. */
  readonly text: string;
}

export interface ProbeServer {
  /** That was taken. */
  readonly address: AddressInfo;
  close(): Promise<void>;
}

export async function openProbeServer(
  listen: { readonly host?: string | undefined; readonly port: number },
  probes: { readonly live: () => ProbeAnswer; readonly ready: () => ProbeAnswer },
): Promise<ProbeServer> {
  const byPath = new Map([
    ['/live', probes.live],
    ['/ready', probes.ready],
  ]);
  const server = createServer(({ method, url = '' }, response) => {
    const answer = method === 'GET' ? byPath.get(url)?.() : undefined;
    if (answer === undefined) {
      response.writeHead(404).end();
      return;
    }
    const { isGood, text } = answer;
    response.writeHead(isGood ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
