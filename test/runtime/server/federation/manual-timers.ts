// Timers that go off when they are told to.
import type { Timers } from '../../../../runtime/server/federation/follow-relationship.ts';

export interface ManualTimers extends Timers {
  /** Lets the time pass; what becomes due goes off, the earliest first. */
  advance(ms: number): void;
  /** How long from now, sorted. */
  waits(): number[];
}

export function createManualTimers(): ManualTimers {
  const pending = new Set<{ at: number; act: () => void }>();
  let now = 0;
  return {
    after(ms, act) {
      const timer = { at: now + ms, act };
      pending.add(timer);
      return () => pending.delete(timer);
    },
    advance(ms) {
      now += ms;
      const due = [...pending].filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
      for (const timer of due) if (pending.delete(timer)) timer.act();
    },
    waits: () => [...pending].map(({ at }) => at - now).sort((a, b) => a - b),
  };
}
