// Wakes the one who waits. Rung while nobody waits, the next wait ends at once.

export interface Bell {
  ring(): void;
  /** Until the bell rings or the time is over. Rejects with the signal's reason once it is aborted. */
  wait(signal: AbortSignal, timeoutMs?: number): Promise<void>;
}

export function createBell(): Bell {
  let rung = false;
  let wake: (() => void) | undefined;

  const nextRing = (signal: AbortSignal, timeoutMs: number | undefined): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        wake = undefined;
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
      signal.addEventListener('abort', done, { once: true });
      wake = done;
    });

  return {
    ring() {
      rung = true;
      wake?.();
    },
    async wait(signal, timeoutMs) {
      signal.throwIfAborted();
      if (!rung) await nextRing(signal, timeoutMs);
      rung = false;
      signal.throwIfAborted();
    },
  };
}
