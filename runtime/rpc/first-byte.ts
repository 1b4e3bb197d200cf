// Waits for a peer to say something. Who closes before its first byte only looked whether the port is open, as kubelets and load balancers do.
import type { Socket } from 'node:net';

/** False where it closed before; what it says stays to be read. Throws where nothing comes in time, or its place was needed for another. */
export function hasFirstByte(socket: Socket, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(() => reject(new Error(`no byte in ${timeoutMs} ms`))), timeoutMs);
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      socket.off('readable', look).off('close', onClose);
      act();
    };
    const look = (): void => {
      if (socket.readableLength > 0) finish(() => resolve(true));
      else socket.read(); // its end is only told to who reads
    };
    const onClose = (): void => {
      const isByPeer = socket.readableEnded || socket.errored !== null;
      finish(() => (isByPeer ? resolve(false) : reject(new Error('closed here before a byte came'))));
    };
    socket.on('readable', look).on('close', onClose);
    if (socket.destroyed) onClose();
  });
}
