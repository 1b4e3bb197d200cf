import { expect, test } from 'vitest';
import { createMessageCache } from '../../../../runtime/server/api/message-cache.ts';

function createWorld(maxBytes: number) {
  const cache = createMessageCache<object>(maxBytes);
  let made = 0;
  return {
    /** How many were made for these. */
    madeFor: (...asked: readonly (readonly [key: object, variant: string])[]): number => {
      const before = made;
      for (const [key, variant] of asked) {
        const bytes = cache.get(key, variant, () => {
          made += 1;
          return Buffer.from(variant.repeat(4));
        });
        expect(bytes.toString()).toBe(variant.repeat(4));
      }
      return made - before;
    },
  };
}

const [a, b, c] = [{}, {}, {}];

test('a list is kept from its second time on, under its last variant', () => {
  const { madeFor } = createWorld(100);
  expect(madeFor([a, 'x'])).toBe(1);
  expect(madeFor([a, 'x'])).toBe(1);
  expect(madeFor([a, 'x'], [a, 'x'])).toBe(0);
  expect(madeFor([a, 'y'])).toBe(1);
  expect(madeFor([a, 'y'])).toBe(0);
  expect(madeFor([a, 'x'])).toBe(1);
});

test('says whether a list is kept under a variant', () => {
  const cache = createMessageCache<object>(100);
  const kept = () => [cache.has(a, 'x'), cache.has(a, 'y'), cache.has(b, 'x')];
  cache.get(a, 'x', () => Buffer.from('xx'));
  expect(kept()).toEqual([false, false, false]);
  cache.get(a, 'x', () => Buffer.from('xx'));
  expect(kept()).toEqual([true, false, false]);
});

test('the list that was asked for longest ago makes place', () => {
  const { madeFor } = createWorld(8);
  madeFor([a, 'x'], [a, 'x'], [b, 'x'], [b, 'x'], [a, 'x'], [c, 'x'], [c, 'x']);
  expect(madeFor([a, 'x'], [c, 'x'])).toBe(0);
  expect(madeFor([b, 'x'])).toBe(1);
});

test('a list larger than everything that may be kept is not', () => {
  const { madeFor } = createWorld(3);
  expect(madeFor([a, 'x'], [a, 'x'], [a, 'x'])).toBe(3);
});
