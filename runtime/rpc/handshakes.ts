// Handshakes under way: so many and no more, as each costs a signature. Where there is no room, the oldest gives way to whoever comes, once it has had
// as long as an honest peer needs: otherwise peers that begin and never end would keep all others out.
import type { Socket } from 'node:net';

export interface Handshakes {
  /** False where the socket is to be closed: there is no room. It is counted until it is done or closes. */
  begin(socket: Socket): boolean;
  done(socket: Socket): void;
}

export interface HandshakesOptions {
  readonly most: number;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

/** Two round trips around the world, and a machine that is busy. */
export const fairMs = 1_000;

export function createHandshakes({ most, now }: HandshakesOptions): Handshakes {
  /** When each began, oldest first, by the peer's address: a TLS socket has that of the socket below it. */
  const begun = new Map<string, { readonly socket: Socket; readonly at: number }>();

  return {
    begin(socket) {
      if (begun.size >= most) {
        const [oldest] = begun;
        if (oldest === undefined || now() - oldest[1].at < fairMs) return false;
        begun.delete(oldest[0]);
        oldest[1].socket.destroy();
      }
      const peer = addressOf(socket);
      begun.set(peer, { socket, at: now() });
      socket.once('close', () => {
        if (begun.get(peer)?.socket === socket) begun.delete(peer);
      });
      return true;
    },
    done: (socket) => void begun.delete(addressOf(socket)),
  };
}

export function addressOf(socket: Socket): string {
  return `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`;
}
