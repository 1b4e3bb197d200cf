// A way to a port of this machine that can be shut without anybody being told: what is sent is neither delivered nor refused, as behind a cut cable.
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface TcpGap {
  readonly port: number;
  /** From now on nothing passes, and new connections hear nothing. */
  shut(): void;
  /** The connections of before are lost, as they are after a long partition; new ones pass. */
  open(): void;
  close(): Promise<void>;
}

export async function openTcpGap(target: { readonly host: string; readonly port: number }): Promise<TcpGap> {
  const sockets = new Set<Socket>();
  let isShut = false;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (chunk) => {
      if (!isShut) to.write(chunk);
    });
    from.once('close', () => {
      if (!isShut) to.destroy();
    });
  };
  const server = createServer((near) => {
    keep(near);
    if (isShut) return;
    const far = keep(connect(target));
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    shut: () => void (isShut = true),
    open() {
      isShut = false;
      cut();
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
