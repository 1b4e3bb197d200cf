// /live and /ready over plain HTTP, for load balancers and kubelets: 200 or 500 with a JSON object that names the parts.
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Logger } from '../../log.ts';
import type { HealthChecker } from './health-checker.ts';

export interface HealthListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly livePath: string;
  readonly readyPath: string;
  readonly checker: HealthChecker;
  readonly log: Logger;
}

/** Listens until the server that it returns is closed. */
export async function listenForHealth(options: HealthListenerOptions): Promise<Server> {
  const { host, port, livePath, readyPath, checker, log } = options;
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, (request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    if (path !== livePath && path !== readyPath) {
      response.writeHead(404).end();
      return;
    }
    checker.check().then(
      ({ live, ready, details }) => {
        const good = path === livePath ? live : ready;
        response
          .writeHead(good ? 200 : 500, { 'content-type': 'application/json' })
          .end(`${JSON.stringify(details)}\n`);
      },
      (error: unknown) => {
        log.error({ err: error }, 'Health check failed');
        response.writeHead(500).end();
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  server.on('error', (error) => log.warn({ err: error }, 'Error serving health checks'));
  log.info({ address: `${host}:${port}` }, 'Serving health checks');
  return server;
}
