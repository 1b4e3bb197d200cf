// What the server told of and the agent has not fetched yet. Many hints make one turn, and turns keep a distance: a flood of changes must not keep
// the agent from anything else.
import type { Bell } from '../cache/bell.ts';
import type { Wanted } from './synchronizer.ts';

export interface Hint extends Wanted {
  /** What the agent has once it has fetched that. */
  readonly revision: string;
}

export interface SyncHints {
  /** The watch stands: what changes will be told. */
  told(hint: Hint): void;
  /** It does not stand any more, so the poll has to do. */
  lost(): void;
  isWatching(): boolean;
  /** Of the last hint that was acted on. */
  revision(): string;
  /** Epoch ms; Infinity where there is nothing to fetch. */
  dueAt(): number;
  /** A turn failed on something that nobody will tell of again. */
  isPending(): boolean;
  /** For a turn that begins now. */
  take(): TakenHints;
}

export interface TakenHints {
  readonly changed: Wanted;
  /** All of it is fetched. */
  done(): void;
  /** It is left for the next poll. */
  putBack(): void;
}

export interface SyncHintsOptions {
  /** Rung when there is a hint. */
  readonly wanted: Bell;
  readonly clock: () => number;
}

/** Between the beginnings of two turns for hints. */
const spacingMs = 200;
const nothing: Hint = { entries: false, bundles: false, revision: '' };

export function createSyncHints({ wanted, clock }: SyncHintsOptions): SyncHints {
  let pending = nothing;
  let acted = '';
  let [isWatching, isDue, beganAt] = [false, false, Number.NEGATIVE_INFINITY];

  return {
    told({ entries, bundles, revision }) {
      isWatching = true;
      pending = { entries: entries || pending.entries, bundles: bundles || pending.bundles, revision };
      if (!pending.entries && !pending.bundles) acted = revision;
      if (!entries && !bundles) return;
      isDue = true;
      wanted.ring();
    },
    lost() {
      isWatching = false;
    },
    isWatching: () => isWatching,
    revision: () => acted,
    dueAt: () => (isDue ? beganAt + spacingMs : Number.POSITIVE_INFINITY),
    isPending: () => pending.entries || pending.bundles,
    take() {
      const taken = pending;
      pending = { ...nothing, revision: taken.revision };
      [isDue, beganAt] = [false, clock()];
      return {
        changed: taken,
        done: () => void (acted = taken.revision),
        putBack() {
          pending = {
            entries: pending.entries || taken.entries,
            bundles: pending.bundles || taken.bundles,
            revision: pending.revision,
          };
        },
      };
    },
  };
}
