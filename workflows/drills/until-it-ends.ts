// What a workload shows while it gets nothing new: its SVID is taken until it ends, and never after. Ends are what the workloads themselves said last.
import type { DrillLook } from '../../activities/drills/drill.ts';
import { mtlsWorks } from './judge-look.ts';
import type { Expectation } from './round.ts';

/** Around the end neither may be expected: clocks differ, and a handshake takes its time. */
const marginMs = 2_000;

export interface Ends {
  /** To be told of each look before it is judged. */
  readonly note: (look: DrillLook) => void;
  readonly expectations: readonly Expectation[];
  /** Whether all of them have ended, and it was seen. */
  readonly areOver: (look: DrillLook) => boolean;
}

export function followEnds(ids: readonly string[]): Ends {
  const ends = new Map<string, number>();
  const note = ({ workloads }: DrillLook): void => {
    for (const { spiffeId, endsAt } of workloads)
      if (endsAt !== undefined && ids.includes(spiffeId)) ends.set(spiffeId, Date.parse(endsAt));
  };
  /** Those of which nobody knows yet have not ended. */
  const hasEnded = (id: string, at: number): boolean => at > (ends.get(id) ?? Infinity) + marginMs;
  const isNearItsEnd = (id: string, at: number): boolean => at > (ends.get(id) ?? Infinity) - marginMs;
  const judged = (look: DrillLook, isMeant: (id: string, at: number) => boolean) => {
    note(look);
    const at = Date.parse(look.at);
    const meant = new Set(ids.filter((id) => isMeant(id, at)));
    return { at, meant };
  };
  return {
    note,
    areOver: (look) => ids.every((id) => hasEnded(id, Date.parse(look.at) - marginMs)),
    expectations: [
      {
        what: `SVIDs of ${ids.join(', ')} are taken until they end`,
        kind: 'keeps',
        works(look) {
          const { meant } = judged(look, (id, at) => !isNearItsEnd(id, at));
          return mtlsWorks(look, (id) => meant.has(id) || !ids.includes(id));
        },
      },
      {
        what: `SVIDs of ${ids.join(', ')} are taken after they have ended`,
        kind: 'stops',
        works(look) {
          const { meant } = judged(look, hasEnded);
          const pairs = look.handshakes.filter(({ from, to }) => meant.has(from) || meant.has(to));
          const taken = pairs.find(({ works }) => works);
          if (pairs.length === 0) return undefined;
          return taken === undefined ? { works: false, said: pairs[0]?.said } : { works: true };
        },
      },
    ],
  };
}
