// Every byte of an encoding changed in a few ways, one at a time, and every length that it can be cut to.

export function* mutationsOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (const [index, byte] of bytes.entries()) {
    for (const value of new Set([byte ^ 0x01, byte ^ 0x80, 0x00, 0xff, (byte + 1) & 0xff])) {
      if (value !== byte) yield bytes.map((old, at) => (at === index ? value : old));
    }
  }
  for (let length = 0; length < bytes.length; length += 1) yield bytes.slice(0, length);
  yield Uint8Array.of(...bytes, 0);
}
