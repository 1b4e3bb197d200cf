// Whether the agent lives and whether it serves: told to HTTP probes on a listener of their own, and over gRPC on the Workload API's socket.
import type { Server } from 'node:http';
import { HealthCheckResponse_ServingStatus as ServingStatus } from '../../../proto/gen/grpc/health/v1/health.ts';
import type { HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { createBell } from '../cache/bell.ts';
import type { Bell } from '../cache/bell.ts';
import { createServer } from '../../rpc/node-http.ts';
import { invalidArgument } from '../../rpc/status.ts';
import type { Handlers } from '../../rpc/service.ts';
import type { HealthConfig } from '../config/agent-config.ts';

export class AgentHealth {
  readonly #watchers = new Set<Bell>();
  #ready = false;

  get ready(): boolean {
    return this.#ready;
  }

  set ready(ready: boolean) {
    this.#ready = ready;
    for (const bell of this.#watchers) bell.ring();
  }

  /** gRPC health: the agent as a whole is the only service that it knows. */
  handlers(): Handlers<typeof HealthService> {
    const status = () => ({ status: this.#ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING });
    const watchers = this.#watchers;
    return {
      check: ({ service }) =>
        service === ''
          ? Promise.resolve(status())
          : Promise.reject(invalidArgument('per-service health is not supported')),
      list: () => Promise.resolve({ statuses: { '': status() } }),
      async *watch({ service }, { signal }) {
        const bell = createBell();
        watchers.add(bell);
        try {
          for (;;) {
            yield service === '' ? status() : { status: ServingStatus.SERVICE_UNKNOWN };
            await bell.wait(signal);
          }
        } finally {
          watchers.delete(bell);
        }
      },
    };
  }
}

/** Listens until it is closed. A process that answers at all is live. */
export async function listenForProbes(
  { host, port, livePath, readyPath }: HealthConfig,
  health: AgentHealth,
): Promise<Server> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (path !== livePath && path !== readyPath) {
      response.writeHead(404).end();
      return;
    }
    const good = path === livePath || health.ready;
    // SPIRE's name and words.
    const agent = good ? {} : { make_new_x509_err: 'workload api is unavailable' };
    response.writeHead(good ? 200 : 500, { 'content-type': 'application/json' }).end(`${JSON.stringify({ agent })}\n`);
  });
  server.headersTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  return server;
}
