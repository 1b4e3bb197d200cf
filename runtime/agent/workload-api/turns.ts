// Who is looked at next. Looking at a process takes reads of /proc and more, so only a few are looked at at once; processes take turns, and one that
// calls a thousand times waits for itself and not before the others.

export interface Turns {
  /** Rejects with the signal's reason where the caller has gone before its turn came. */
  take<T>(pid: number, signal: AbortSignal, act: () => Promise<T>): Promise<T>;
}

export function createTurns(atOnce: number): Turns {
  /** By pid, whoever is next first. */
  const waiting = new Map<number, (() => void)[]>();
  let running = 0;

  const beginNext = (): void => {
    while (running < atOnce) {
      const [next] = waiting;
      if (next === undefined) return;
      const [pid, calls] = next;
      waiting.delete(pid);
      const begin = calls.shift();
      if (calls.length > 0) waiting.set(pid, calls); // behind the others
      running += 1;
      begin?.();
    }
  };

  return {
    async take(pid, signal, act) {
      await new Promise<void>((resolve) => {
        const calls = waiting.get(pid);
        if (calls === undefined) waiting.set(pid, [resolve]);
        else calls.push(resolve);
        beginNext();
      });
      try {
        signal.throwIfAborted();
        return await act();
      } finally {
        running -= 1;
        beginNext();
      }
    },
  };
}
