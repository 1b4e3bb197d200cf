// Chance from a seed: the same seed and the same case give the same moment and the same victim, whatever else was run before it.
import { createHash } from 'node:crypto';

export interface Chance {
  /** From 0 to below `limit`, not rounded. */
  below(limit: number): number;
  pick<T>(list: readonly [T, ...T[]]): T;
  shuffle<T>(list: readonly T[]): T[];
}

export function createChance(seed: number, subject: string): Chance {
  let state = createHash('sha256').update(`${seed}/${subject}`).digest().readUInt32LE();

  /** mulberry32: small, and even enough for choosing moments. */
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  return {
    below: (limit) => next() * limit,
    pick: (list) => list[Math.floor(next() * list.length)] ?? list[0],
    shuffle: (list) =>
      list
        .map((item) => ({ item, rank: next() }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ item }) => item),
  };
}
