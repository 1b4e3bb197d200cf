// What instances in namespaces reach of the machine that the lab runs on: ports of its loopback that the lab was told, at the gateway's address, where
// the instances' own loopback leads.
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

export interface Relays {
  close(): Promise<void>;
}

export async function openRelays(gateway: string, ports: readonly number[]): Promise<Relays> {
  const sockets = new Set<Socket>();
  const servers = ports.map((port) => {
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        // prettier-ignore
        sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    return { server, port };
  });
  await Promise.all(
    servers.map(
      ({ server, port }) =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(port, gateway, resolve);
        }),
    ),
  );
  return {
    async close() {
      const closed = servers.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
    },
  };
}
