// Finds gRPC's messages in the bytes of a stream: each has a flag, its length in four bytes, and its content. Refuses what is too long before it
// arrives, and what comes in so many pieces that taking them costs more than what they say.
import { internal, resourceExhausted, unimplemented } from './status.ts';

const headerBytes = 5;
/** An honest peer fills its frames: a message comes in fewer than these, and one more for each so many bytes. */
const piecesForEach = { message: 64, bytes: 256 };

const none: readonly Buffer[] = [];

export class MessageReader {
  readonly #maxMessageBytes: number;
  #pieces: Buffer[] = [];
  #held = 0;
  /** How many bytes must be there before anything can be said. */
  #wanted = headerBytes;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** The messages that this piece completes. */
  take(piece: Buffer): readonly Buffer[] {
    this.#pieces.push(piece);
    this.#held += piece.length;
    this.#checkPieces();
    if (this.#held < this.#wanted) return none;
    const messages: Buffer[] = [];
    const bytes = this.#takeHeld();
    let start = 0;
    for (;;) {
      this.#wanted = headerBytes;
      if (bytes.length - start < headerBytes) break;
      this.#wanted += lengthAt(bytes, start, this.#maxMessageBytes);
      if (bytes.length - start < this.#wanted) break;
      messages.push(bytes.subarray(start + headerBytes, start + this.#wanted));
      start += this.#wanted;
    }
    if (start < bytes.length) {
      this.#pieces.push(bytes.subarray(start));
      this.#held = bytes.length - start;
    }
    return messages;
  }

  /** Throws where the bytes ended inside a message. */
  finish(): void {
    if (this.#held > 0) throw internal(`request ended after ${this.#held} bytes of a message`);
  }

  #checkPieces(): void {
    const count = this.#pieces.length;
    if (count <= piecesForEach.message + this.#held / piecesForEach.bytes) return;
    throw resourceExhausted(`message came in ${count} pieces of ${this.#held} bytes together`);
  }

  #takeHeld(): Buffer {
    const [first] = this.#pieces;
    const whole = this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces, this.#held);
    this.#pieces = [];
    this.#held = 0;
    return whole;
  }
}

function lengthAt(bytes: Buffer, start: number, maxMessageBytes: number): number {
  const flag = bytes[start] ?? 0;
  // Nobody of SPIRE's compresses, and what inflates costs more than it looks.
  if (flag === 1) throw unimplemented('compressed messages are not supported');
  if (flag !== 0) throw internal(`message begins with the flag ${flag}`);
  const length = bytes.readUInt32BE(start + 1);
  if (length > maxMessageBytes)
    throw resourceExhausted(`received message larger than max (${length} vs. ${maxMessageBytes})`);
  return length;
}
