// Writes gRPC's messages to a stream, each behind its flag and its length.
import type { Writable } from 'node:stream';

const headerBytes = 5;
/** Below this a copy costs less than a second write. */
const copiedBytes = 16 * 1024;

/** Calls back when it has left. */
export function writeMessage(stream: Writable, message: Uint8Array, done: (error?: Error | null) => void): void {
  if (message.length <= copiedBytes) {
    stream.write(frameOf(message), done);
    return;
  }
  stream.cork();
  stream.write(headerOf(message.length));
  stream.write(message, done);
  stream.uncork();
}

/** The last one: ends the stream with it. */
export function endWithMessage(stream: Writable, message: Uint8Array): void {
  if (message.length <= copiedBytes) {
    stream.end(frameOf(message));
    return;
  }
  stream.cork();
  stream.write(headerOf(message.length));
  stream.end(message);
}

function frameOf(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + message.length);
  writeHeader(frame, message.length);
  frame.set(message, headerBytes);
  return frame;
}

function headerOf(length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  writeHeader(header, length);
  return header;
}

function writeHeader(target: Buffer, length: number): void {
  target[0] = 0;
  target.writeUInt32BE(length, 1);
}
