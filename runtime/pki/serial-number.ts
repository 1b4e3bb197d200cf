// Serial numbers as SPIRE draws them: random, positive, up to 128 bits, so that two servers of one trust domain never agree on one.
import { randomFillSync } from 'node:crypto';

const width = 16;

// Serial numbers are public: drawing many at once gives nothing away and costs a tenth.
const pool = new Uint8Array(64 * width);
let used = pool.length;

/** Big endian, 16 bytes, never zero. */
export function createSerialNumber(): Uint8Array {
  for (;;) {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const bytes = pool.slice(used, used + width);
    used += width;
    if (bytes.some((byte) => byte !== 0)) return bytes;
  }
}

/** The number as decimal text, as SPIRE puts it into a CA's subject. */
export function serialNumberText(magnitude: Uint8Array): string {
  return BigInt(`0x${Buffer.from(magnitude).toString('hex')}`).toString();
}
