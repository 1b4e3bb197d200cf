// A peer that connects and says nothing costs a session all the same, and HTTP/2 would wait for it for minutes.
import type { Socket } from 'node:net';

/** A client says its preface as soon as it is connected. */
export const firstWordMs = 10_000;

/** Closes the connection where the peer has not said a word in time. */
export function closeWhereSilent(socket: Socket, patienceMs = firstWordMs): void {
  const heard = socket.bytesRead;
  const timer = setTimeout(() => {
    if (socket.bytesRead === heard) socket.destroy();
  }, patienceMs);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
