// The way to what is attacked: raw connections, over TLS where the target is a port, and frames written by hand.
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { flags, frame, frameTypes } from '../../support/http2-frames.ts';

export type Attacked = {
  /** A method that streams answers, or waits for requests, to whoever is there. */
  readonly streamPath: string;
  /** Takes one message. */
  readonly callPath: string;
  readonly headers: readonly (readonly [string, string])[];
} & ({ readonly socketPath: string } | { readonly port: number });

/** Not encrypted: TCP or the Unix socket itself. */
export async function dialPlain(attacked: Attacked): Promise<Socket> {
  const socket =
    'port' in attacked ? connectSocket({ host: '127.0.0.1', port: attacked.port }) : connectSocket(attacked.socketPath);
  socket.on('error', () => socket.destroy()); // it may cut us off at any time
  await settled(socket, 'connect');
  return socket;
}

/** Where HTTP/2 is to be spoken. */
export async function dial(attacked: Attacked): Promise<Socket> {
  if (!('port' in attacked)) return dialPlain(attacked);
  const options = { host: '127.0.0.1', port: attacked.port, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
  const socket = connectTls(options);
  socket.on('error', () => socket.destroy());
  await settled(socket, 'secureConnect');
  return socket;
}

/** With the preface said, and what comes back thrown away. */
export async function dialHttp2(attacked: Attacked): Promise<Socket> {
  const socket = await dial(attacked);
  socket.resume();
  socket.write(preface);
  return socket;
}

export const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(frameTypes.settings, 0, 0),
  frame(frameTypes.settings, flags.endStream, 0), // the acknowledgement of settings that are still on their way
]);

/** Until the other side has taken it, or is gone. */
export async function send(socket: Socket, ...frames: readonly Uint8Array[]): Promise<void> {
  if (socket.destroyed) return;
  if (!socket.write(Buffer.concat(frames))) await settled(socket, 'drain');
}

/** The event, or the end of the socket; a second at most. */
export async function settled(socket: Socket, event: string): Promise<void> {
  if (socket.destroyed) return;
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(1_000)]);
  await Promise.race([once(socket, event, { signal }), once(socket, 'close', { signal })]).catch(() => undefined);
  done.abort();
}
