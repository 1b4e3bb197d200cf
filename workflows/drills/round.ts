// What a drill is made of: rounds, each a failure with what it is made of, what must be seen of it, and what must go on working. Types only.
import type { DrillLook, Mending, Tried } from '../../activities/drills/drill.ts';

/** One thing that is broken. Its mending is registered before `ensure` is called, so it is content with nothing to mend. */
export interface Fault {
  /** As steps name it: `kill spire-server of gcp-server-0`. */
  readonly name: string;
  readonly ensure: () => Promise<unknown>;
  /** Known once the round is prepared. */
  readonly mending: () => Mending;
}

/** Asked at each look while the failure stands. */
export interface Expectation {
  /** In words: `tier aws issues`. */
  readonly what: string;
  /** `keeps`: must work whenever it can be judged; `stops`: must not, and must have been judged. */
  readonly kind: 'keeps' | 'stops';
  /** Undefined where this look says nothing about it. */
  readonly works: (look: DrillLook) => Tried | undefined;
}

export interface Round {
  readonly failure: string;
  readonly faults: readonly Fault[];
  readonly alert: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly runbook: {
    readonly name: string;
    readonly subject: string;
    readonly tier?: string;
    readonly policy?: Readonly<Record<string, unknown>>;
  };
  /** What the fleet shows of the alert's condition. */
  readonly detect: (look: DrillLook) => string | undefined | Promise<string | undefined>;
  readonly expectations: readonly Expectation[];
  /** An agent that is looked at besides. */
  readonly agent?: { readonly tier: string; readonly agentId: string };
  /** Whether the failure has been kept up for long enough; the policy's hold says so where this does not. */
  readonly isOver?: (look: DrillLook, elapsedMs: number) => boolean | Promise<boolean>;
  /** In words, how long that is. */
  readonly holds?: string;
  /** Before anything is broken. */
  readonly prepare?: () => Promise<unknown>;
  /** Once all is mended: what does not come back by itself. */
  readonly afterMending?: () => Promise<unknown>;
  /** What is not yet as it was, besides what every look shows. */
  readonly notBack?: (look: DrillLook) => string[] | Promise<string[]>;
}
