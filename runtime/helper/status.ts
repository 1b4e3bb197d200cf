// How far the files are written, told to probes as spiffe-helper tells it. Live: nothing failed. Ready: everything is there.
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { join } from 'node:path';
import type { HelperConfig } from './config.ts';

export type WriteStatus = 'unwritten' | 'failed' | 'written';

export interface HelperStatus {
  x509(status: WriteStatus): void;
  /** By the file's name below `cert_dir`. */
  jwt(name: string, status: WriteStatus): void;
  live(): boolean;
  ready(): boolean;
  /** The JSON object of an answer's `health`. */
  health(): unknown;
}

export function createStatus({ x509, jwtBundle, jwtSvids, certDir }: HelperConfig): HelperStatus {
  let x509Status: WriteStatus | undefined = x509 === undefined ? undefined : 'unwritten';
  const names = [...(jwtBundle === undefined ? [] : [jwtBundle]), ...jwtSvids.map(({ name }) => name)];
  const jwtStatuses = new Map(names.map((name): [string, WriteStatus] => [join(certDir, name), 'unwritten']));
  const all = (): WriteStatus[] => [...(x509Status === undefined ? [] : [x509Status]), ...jwtStatuses.values()];
  return {
    x509: (status) => void (x509Status = status),
    jwt: (name, status) => void jwtStatuses.set(join(certDir, name), status),
    live: () => !all().includes('failed'),
    ready: () => all().every((status) => status === 'written'),
    health: () => ({
      file_write_statuses: {
        ...(x509Status === undefined ? {} : { x509_write_status: x509Status }),
        jwt_write_status: Object.fromEntries(jwtStatuses),
      },
    }),
  };
}

export interface ProbeListenerOptions extends NonNullable<HelperConfig['health']> {
  /** All addresses of the machine where absent: a kubelet probes by the pod's. */
  readonly host?: string;
}

/** Listens until it is closed. */
export async function listenForProbes(
  { host, port, livePath, readyPath }: ProbeListenerOptions,
  status: HelperStatus,
): Promise<Server> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000 }, (request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (path !== livePath && path !== readyPath) {
      response.writeHead(404).end();
      return;
    }
    const good = path === livePath ? status.live() : status.ready();
    response
      .writeHead(good ? 200 : 503, { 'content-type': 'application/json' })
      .end(JSON.stringify({ status: good ? 'OK' : 'Service Unavailable', health: status.health() }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
  return server;
}
