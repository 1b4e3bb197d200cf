// A target for Prometheus that stands for something else: it can be read while connections to that are taken, and not otherwise. As an exporter of probes is,
// for servers that show no metrics.
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';

const patienceMs = 500;

/** `address`: host and port. */
export async function startProbe(address: string): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const [host = '', port = ''] = address.split(':');
  const server = createServer((request, response) => {
    const probe = connect({ host, port: Number(port), timeout: patienceMs });
    const refuse = (): void => {
      probe.destroy();
      request.destroy();
    };
    probe.once('error', refuse).once('timeout', refuse);
    probe.once('connect', () => {
      probe.destroy();
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end('probe_success 1\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
