// Two iterators as one: nothing lost, nothing read ahead, both told when the reader leaves.
import { expect, it } from 'vitest';
import { interleave } from '../../../../runtime/agent/sds/interleave.ts';
import { createQueue } from '../../../../runtime/rpc/queue.ts';

const setup = () => {
  const [numbers, words] = [createQueue<number>(), createQueue<string>()];
  const both = interleave(numbers[Symbol.asyncIterator](), words[Symbol.asyncIterator]());
  return {
    numbers,
    words,
    both,
    next: async () => ((await both.next()).value as { result: { value: unknown } }).result.value,
  };
};

it('tells each step as it comes, in order', async () => {
  const { numbers, words, next } = setup();
  numbers.push(1);
  expect(await next()).toBe(1);
  words.push('a');
  words.push('b');
  expect(await next()).toBe('a');
  expect(await next()).toBe('b');
  numbers.push(2);
  expect(await next()).toBe(2);
});

it('goes on with the other when one is done', async () => {
  const { numbers, words, both } = setup();
  numbers.end();
  expect((await both.next()).value).toEqual({ from: 'first', result: { done: true, value: undefined } });
  words.push('a');
  expect((await both.next()).value).toEqual({ from: 'second', result: { done: false, value: 'a' } });
});

it('throws what one throws', async () => {
  const { words, both } = setup();
  words.end(new Error('broken'));
  await expect(both.next()).rejects.toThrow('broken');
});

it('reads one step ahead and no further, and tells both that the reader left', async () => {
  let read = 0;
  let returned = 0;
  async function* endless(): AsyncGenerator<number, void, undefined> {
    try {
      for (;;) yield (read += 1);
    } finally {
      returned += 1;
    }
  }
  const both = interleave(endless(), endless());
  await both.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(read).toBe(2);
  await both.return(undefined as never);
  await expect.poll(() => returned).toBe(2);
});
