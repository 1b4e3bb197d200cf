// A queue that one side pushes into and the other reads as an async iterable: the sending half of a stream whose next message depends on the
// last answer. One reader; what is pushed after the end is dropped.

export interface Queue<T> extends AsyncIterable<T> {
  push(value: T): void;
  /** No more values: the reader ends after those already pushed, with the error if there is one. */
  end(error?: Error): void;
}

export function createQueue<T>(): Queue<T> {
  const values: T[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake: (() => void) | undefined;

  async function* read(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const [value] = values;
      if (values.length > 0) {
        values.shift();
        yield value as T;
      } else if (ended) {
        if (failure !== undefined) throw failure;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }

  return {
    push(value) {
      if (ended) return;
      values.push(value);
      wake?.();
    },
    end(error) {
      if (ended) return;
      ended = true;
      failure = error;
      wake?.();
    },
    [Symbol.asyncIterator]: read,
  };
}
