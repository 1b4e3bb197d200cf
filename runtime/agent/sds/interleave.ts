// Reads two async iterators at once, one step of each at a time: whatever comes first is told first, and neither runs ahead of the reader.

export type Step<A, B> =
  | { readonly from: 'first'; readonly result: IteratorResult<A> }
  | { readonly from: 'second'; readonly result: IteratorResult<B> };

/** Ends when the reader leaves; an iterator that is done says so once. Throws what either throws. Both are told to return. */
export async function* interleave<A, B>(
  first: AsyncIterator<A>,
  second: AsyncIterator<B>,
): AsyncGenerator<Step<A, B>, never, undefined> {
  const arrived: (() => Step<A, B>)[] = [];
  let wake: (() => void) | undefined;
  const arrive = (step: () => Step<A, B>): void => {
    arrived.push(step);
    wake?.();
  };
  // Not raced: racing again and again against a promise that stays open keeps every race in memory.
  const pull = <T>(iterator: AsyncIterator<T>, stepOf: (result: IteratorResult<T>) => Step<A, B>): void => {
    iterator.next().then(
      (result) => {
        arrive(() => stepOf(result));
      },
      (error: unknown) => {
        arrive(() => {
          throw error;
        });
      },
    );
  };
  const pullFirst = (): void => pull(first, (result) => ({ from: 'first', result }));
  const pullSecond = (): void => pull(second, (result) => ({ from: 'second', result }));

  pullFirst();
  pullSecond();
  try {
    for (;;) {
      const next = arrived.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const step = next();
      yield step;
      if (step.result.done === true) continue;
      if (step.from === 'first') pullFirst();
      else pullSecond();
    }
  } finally {
    // An iterator that still waits answers only when its wait ends, which is the caller's signal's business.
    for (const iterator of [first, second]) iterator.return?.().catch(() => undefined);
  }
}
