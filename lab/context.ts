// What the parts of the lab share: its memory, its machines, its clock.
import type { Fleet } from './instance/fleet.ts';
import type { Seals } from './seals.ts';
import type { Isolation, LabState } from './state.ts';

export interface LabContext {
  readonly state: LabState;
  readonly save: () => void;
  readonly fleet: Fleet;
  readonly seals: Seals;
  /** Address of the control listener, for instances too, like `http://127.77.0.1:1337`. */
  readonly endpoint: string;
  readonly isolation: Isolation;
  /** Epoch milliseconds. */
  readonly clock: () => number;
  readonly log: (line: string) => void;
}
