// When HTTP/2 begins on a connection that was accepted. Of each peer, one begins in a turn of the event loop: whoever connects often, and says much at
// once on each connection, fills turn after turn, but none of them whole, and what others say is heard in between. Nobody waits who is alone.
import type { Socket } from 'node:net';
import type { Connection } from './connection.ts';

export type OpeningTurns = (socket: Socket, connection: Connection, open: () => void) => void;

export function createOpeningTurns(): OpeningTurns {
  const waiting = new Map<string, (() => void)[]>();

  const takeTurn = (): void => {
    for (const [peer, opens] of waiting) {
      opens.shift()?.();
      if (opens.length === 0) waiting.delete(peer);
    }
    if (waiting.size > 0) setImmediate(takeTurn);
  };

  return (socket, connection, open) => {
    const peer = peerOf(connection);
    const begin = (): void => {
      if (!socket.destroyed) open();
    };
    const opens = waiting.get(peer);
    if (opens !== undefined) opens.push(begin);
    else waiting.set(peer, [begin]);
    if (opens === undefined && waiting.size === 1) setImmediate(takeTurn);
  };
}

/** A process, or a host: its port is another one each time. */
function peerOf(connection: Connection): string {
  if (connection.transport === 'unix') return `process ${connection.pid}`;
  return connection.address.slice(0, connection.address.lastIndexOf(':'));
}
