// Programs that a fault of the lab's keeps down: a file for each, beside the instance's disk and not on it, so that nothing that runs there can tell or lift
// it, and it outlives the supervisor and the lab.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How it was taken down. */
export type HeldState = 'killed' | 'stopped';

export interface HeldProgram {
  readonly unit: string;
  readonly state: HeldState;
}

const folder = (directory: string): string => join(directory, 'held');

export function isHeldDown(directory: string, unit: string): boolean {
  return existsSync(join(folder(directory), unit));
}

export function holdDown(directory: string, { unit, state }: HeldProgram): void {
  mkdirSync(folder(directory), { recursive: true, mode: 0o700 });
  writeFileSync(join(folder(directory), unit), state, { mode: 0o600 });
}

/** Content where it is not held. */
export function letGo(directory: string, unit: string): void {
  rmSync(join(folder(directory), unit), { force: true });
}

export function listHeld(directory: string): HeldProgram[] {
  if (!existsSync(folder(directory))) return [];
  return readdirSync(folder(directory)).map((unit) => ({
    unit,
    state: readFileSync(join(folder(directory), unit), 'utf8') as HeldState,
  }));
}
