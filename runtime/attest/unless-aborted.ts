// Waits for something that several wait for, or that heeds no signal, no longer than one's own signal allows. What is waited for goes on.

/** Throws the signal's reason once it is aborted. */
export async function unlessAborted<T>(waited: Promise<T>, signal: AbortSignal): Promise<T> {
  waited.catch(() => undefined); // where nobody waits any more, its failure is nobody's
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([waited, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
