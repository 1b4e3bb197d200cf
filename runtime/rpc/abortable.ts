// Reads an async iterable until it ends or a signal says stop, whichever comes first, even while the iterable is waiting for something.

/** Yields what the source yields; throws the signal's reason once it is aborted. The source is told to return in every case. */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  let waiting = false;
  try {
    for (;;) {
      waiting = true;
      const result = await nextUnlessAborted(iterator, signal);
      waiting = false;
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    const returned = iterator.return?.(undefined);
    // A generator that still waits answers return() only when its wait ends, which may be never; its error then belongs to nobody.
    if (waiting) returned?.catch(() => undefined);
    else await returned;
  }
}

/** One listener for each step, removed after it: racing against one long-lived promise would keep every step in memory. */
function nextUnlessAborted<T>(iterator: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
  if (signal.aborted) return Promise.reject(signal.reason as Error);
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => {
        signal.removeEventListener('abort', onAbort);
      });
  });
}
