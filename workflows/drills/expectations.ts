// Keeps what each look said about each expectation, and says in the end which were met.
import type { DrillLook, ExpectationReport } from '../../activities/drills/drill.ts';
import type { Expectation } from './round.ts';

export interface Watched {
  readonly take: (look: DrillLook, elapsedMs: number) => void;
  /** Nothing that comes later can make it good. */
  readonly isBroken: () => boolean;
  readonly report: () => ExpectationReport;
}

export function watchExpectation({ what, kind, works }: Expectation): Watched {
  let judged = 0;
  let stopped: { readonly afterSeconds: number; readonly said: string } | undefined;
  let workedAt: number | undefined;
  return {
    take(look, elapsedMs) {
      const tried = works(look);
      if (tried === undefined) return;
      judged += 1;
      if (tried.works) workedAt ??= elapsedMs / 1000;
      else stopped ??= { afterSeconds: elapsedMs / 1000, said: tried.said ?? '' };
    },
    isBroken: () => (kind === 'keeps' ? stopped !== undefined : workedAt !== undefined),
    report() {
      if (judged === 0) return { what, kind, met: false, said: 'no look could judge it' };
      if (kind === 'keeps') return stopped === undefined ? { what, kind, met: true } : { what, kind, met: false, ...stopped }; // prettier-ignore
      if (workedAt !== undefined) return { what, kind, met: false, afterSeconds: workedAt, said: 'it still worked' };
      return { what, kind, met: true, ...stopped };
    },
  };
}
