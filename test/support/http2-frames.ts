// HTTP/2 as an attacker writes it: frames by hand (RFC 9113 §4, §6), headers without Huffman coding (RFC 7541 §6.2.2), over any socket.
import { once } from 'node:events';
import type { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export const frameTypes = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
};
export const flags = { endStream: 1, acknowledged: 1, endHeaders: 4 };

export function frame(type: number, flag: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flag;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function hpackLength(length: number): number[] {
  if (length < 0x7f) return [length];
  const octets = [0x7f];
  let rest = length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) octets.push((rest & 0x7f) | 0x80);
  return [...octets, rest];
}

export function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    headers.flatMap(([name, value]) => [
      Buffer.from([0, ...hpackLength(name.length)]),
      Buffer.from(name, 'latin1'),
      Buffer.from(hpackLength(value.length)),
      Buffer.from(value, 'latin1'),
    ]),
  );
}

export function callHeaders(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return headerBlock([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ]);
}

/** A gRPC message: a flag, a length that may be a lie, and bytes. */
export function grpcMessage(bytes: Uint8Array, { compressed = false, length = bytes.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed ? 1 : 0;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

/** Unlike events.once, an error before it does not matter. */
export function closeOf(emitter: EventEmitter): Promise<void> {
  return new Promise((resolve) => emitter.once('close', () => resolve()));
}

export interface SeenFrame {
  readonly type: number;
  readonly payload: Buffer;
}

export interface RawConnection {
  readonly socket: Socket;
  /** Resolves when the server has closed. */
  readonly closed: Promise<unknown>;
  /** Resolves once the server has written a frame of that type, or so many of them, with the last of these. */
  readonly sawFrame: (type: number, count?: number) => Promise<SeenFrame>;
}

/** Connects and says what every HTTP/2 client says first. */
export async function rawConnection(path: string): Promise<RawConnection> {
  const socket = connect(path);
  socket.on('error', () => undefined); // the server may cut us off at any time
  const closed = closeOf(socket);
  await once(socket, 'connect');
  const frames: SeenFrame[] = [];
  const waiting: (() => void)[] = [];
  let buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    while (buffer.length >= 9 && buffer.length >= 9 + buffer.readUIntBE(0, 3)) {
      const end = 9 + buffer.readUIntBE(0, 3);
      frames.push({ type: buffer[3] ?? -1, payload: buffer.subarray(9, end) });
      buffer = buffer.subarray(end);
    }
    for (const wake of waiting.splice(0)) wake();
  });
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(frameTypes.settings, 0, 0)]));
  return {
    socket,
    closed,
    async sawFrame(type, count = 1) {
      for (;;) {
        const found = frames.filter((one) => one.type === type)[count - 1];
        if (found !== undefined) return found;
        if (socket.destroyed) throw new Error(`closed before frame ${count} of type ${type}`);
        const woken = new Promise<void>((resolve) => waiting.push(resolve));
        await Promise.race([woken, closed]);
      }
    },
  };
}
