// Encoded lists that are sent again and again, up to a number of bytes; those that were sent longest ago go first. Keyed by the list itself: whoever
// changes a list makes a new one.

export interface MessageCache<Key extends object> {
  /** The bytes of the list under this variant; made, and kept from the second time on. */
  get(key: Key, variant: string, make: () => Buffer): Buffer;
  has(key: Key, variant: string): boolean;
}

interface Kept {
  readonly variant: string;
  readonly bytes: Buffer;
}

export function createMessageCache<Key extends object>(maxBytes: number): MessageCache<Key> {
  const kept = new Map<Key, Kept>();
  const seen = new WeakSet<Key>();
  let total = 0;

  const forget = (key: Key): void => {
    total -= kept.get(key)?.bytes.length ?? 0;
    kept.delete(key);
  };

  return {
    has: (key, variant) => kept.get(key)?.variant === variant,
    get(key, variant, make) {
      const known = kept.get(key);
      const bytes = known?.variant === variant ? known.bytes : make();
      forget(key);
      // A list that is sent once is not worth its place.
      if (seen.has(key) && bytes.length <= maxBytes) {
        kept.set(key, { variant, bytes });
        total += bytes.length;
      }
      seen.add(key);
      for (const oldest of kept.keys()) {
        if (total <= maxBytes) break;
        forget(oldest);
      }
      return bytes;
    },
  };
}
