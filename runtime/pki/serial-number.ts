// Serial numbers as SPIRE draws them: random, positive, up to 128 bits, so that two servers of one trust domain never agree on one.
import { randomBytes } from 'node:crypto';

/** Big endian, 16 bytes, never zero. */
export function createSerialNumber(): Uint8Array {
  for (;;) {
    const bytes = randomBytes(16);
    if (bytes.some((byte) => byte !== 0)) return Uint8Array.from(bytes);
  }
}

/** The number as decimal text, as SPIRE puts it into a CA's subject. */
export function serialNumberText(magnitude: Uint8Array): string {
  return BigInt(`0x${Buffer.from(magnitude).toString('hex')}`).toString();
}
