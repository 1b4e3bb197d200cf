// A STAND-IN for the system bus with systemd behind it: no dbus-daemon and no systemd. It lets users in as a bus does and answers calls from a
// function of the test's. It reads and writes bytes with code of its own, so that a fault of ours is not cancelled out by the same one here.
import { createServer } from 'node:net';
import type { Socket } from 'node:net';

export interface BusCall {
  readonly path: string;
  readonly member: string;
  readonly arguments: readonly (string | number)[];
}
/** A value with its type, an error's name with its text, raw bytes, or nothing at all. */
export type BusReply =
  | { readonly type: 'o' | 's' | 'v' | 'u'; readonly value: string }
  | { readonly error: string; readonly text: string }
  | { readonly raw: Buffer }
  | 'silence';

export interface BusStandIn {
  readonly calls: BusCall[];
  /** How many connections were made so far. */
  readonly connections: { count: number };
  close(): Promise<void>;
}

export interface BusStandInOptions {
  readonly socketPath: string;
  readonly answer: (call: BusCall) => BusReply;
  /** The user that is let in; only the kernel's word counts on a real bus. */
  readonly uid?: number;
  readonly greeting?: string;
  readonly bigEndian?: boolean;
}

export async function startBusStandIn(options: BusStandInOptions): Promise<BusStandIn> {
  const { socketPath, answer, uid = process.geteuid?.() ?? 0, greeting, bigEndian = false } = options;
  const calls: BusCall[] = [];
  const connections = { count: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    connections.count += 1;
    sockets.add(socket);
    let received = Buffer.alloc(0);
    let isIn = false;
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (!isIn) {
        const text = received.toString('latin1');
        if (text === `\0AUTH EXTERNAL ${Buffer.from(`${uid}`).toString('hex')}\r\n`) {
          socket.write(greeting ?? 'OK 0123456789abcdef0123456789abcdef\r\n');
          received = Buffer.alloc(0);
          return;
        }
        if (text.startsWith('\0')) return void socket.end('REJECTED EXTERNAL\r\n');
        if (!text.startsWith('BEGIN\r\n')) return;
        isIn = true;
        received = received.subarray(7);
      }
      for (let call = takeCall(received); call !== undefined; call = takeCall(received)) {
        received = received.subarray(call.length);
        if (call.member === 'Hello') {
          // As a bus does: the answer, and a signal that nobody asked for.
          socket.write(encode(2, call.serial, { type: 's', value: ':1.1' }, bigEndian));
          socket.write(encode(4, 0, { type: 's', value: ':1.1' }, bigEndian));
          continue;
        }
        const { path, member } = call;
        calls.push({ path, member, arguments: call.arguments });
        const reply = answer({ path, member, arguments: call.arguments });
        if (reply === 'silence') continue;
        if ('raw' in reply) socket.write(reply.raw);
        else if ('error' in reply)
          socket.write(encode(3, call.serial, { type: 's', value: reply.text }, bigEndian, reply.error));
        else socket.write(encode(2, call.serial, reply, bigEndian));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    calls,
    connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const pad = (bytes: number[], to: number): void => {
  while (bytes.length % to !== 0) bytes.push(0);
};

function encode(
  kind: number,
  replySerial: number,
  body: { readonly type: string; readonly value: string },
  bigEndian: boolean,
  errorName?: string,
): Buffer {
  const bytes: number[] = [];
  const uint32 = (value: number): void => {
    pad(bytes, 4);
    const four = [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255];
    bytes.push(...(bigEndian ? four.reverse() : four));
  };
  const text = (value: string): void => {
    uint32(Buffer.byteLength(value));
    bytes.push(...Buffer.from(value), 0);
  };
  if (body.type === 'v') bytes.push(1, 's'.charCodeAt(0), 0);
  if (body.type === 'u') uint32(Number(body.value));
  else text(body.value);
  const bodyBytes = bytes.splice(0);
  bytes.push((bigEndian ? 'B' : 'l').charCodeAt(0), kind, 1, 1);
  uint32(bodyBytes.length);
  uint32(77);
  uint32(0);
  if (replySerial > 0) {
    bytes.push(5, 1, 'u'.charCodeAt(0), 0);
    uint32(replySerial);
  }
  if (errorName !== undefined) {
    pad(bytes, 8);
    bytes.push(4, 1, 's'.charCodeAt(0), 0);
    text(errorName);
  }
  pad(bytes, 8);
  bytes.push(8, 1, 'g'.charCodeAt(0), 0, 1, body.type.charCodeAt(0), 0);
  const fieldBytes = bytes.length - 16;
  const header = Buffer.from(bytes);
  if (bigEndian) header.writeUInt32BE(fieldBytes, 12);
  else header.writeUInt32LE(fieldBytes, 12);
  return Buffer.concat([header, Buffer.alloc((8 - (header.length % 8)) % 8), Buffer.from(bodyBytes)]);
}

function takeCall(bytes: Buffer): (BusCall & { readonly serial: number; readonly length: number }) | undefined {
  if (bytes.length < 16) return undefined;
  const fieldEnd = 16 + bytes.readUInt32LE(12);
  const bodyStart = Math.ceil(fieldEnd / 8) * 8;
  const length = bodyStart + bytes.readUInt32LE(4);
  if (bytes.length < length) return undefined;
  const textAt = (at: number): string => bytes.toString('utf8', at + 4, at + 4 + bytes.readUInt32LE(at));
  const fields = new Map<number, string>();
  for (let at = 16; at < fieldEnd; at = Math.ceil(at / 8) * 8) {
    const code = bytes.readUInt8(at);
    if (code === 8) {
      const size = bytes.readUInt8(at + 4);
      fields.set(code, bytes.toString('latin1', at + 5, at + 5 + size));
      at += 6 + size;
      continue;
    }
    fields.set(code, textAt(at + 4));
    at += 9 + bytes.readUInt32LE(at + 4);
  }
  let at = bodyStart;
  const values = Array.from(fields.get(8) ?? '', (type) => {
    at = Math.ceil(at / 4) * 4;
    if (type === 'u') return bytes.readUInt32LE((at += 4) - 4);
    const text = textAt(at);
    at += 5 + Buffer.byteLength(text);
    return text;
  });
  return {
    path: fields.get(1) ?? '',
    member: fields.get(3) ?? '',
    arguments: values,
    serial: bytes.readUInt32LE(8),
    length,
  };
}
