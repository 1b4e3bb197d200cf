// Which entries another list of them brings, changes and takes away. An object that is the same as before means: unchanged.
import type { AgentEntry } from '../sync/entry.ts';

export interface ChangedEntry {
  readonly id: string;
  /** Undefined where it is gone. */
  readonly entry: AgentEntry | undefined;
}

export function changedEntries(
  before: ReadonlyMap<string, AgentEntry>,
  now: ReadonlyMap<string, AgentEntry>,
): ChangedEntry[] {
  const changed: ChangedEntry[] = [];
  for (const [id, entry] of now) if (before.get(id) !== entry) changed.push({ id, entry });
  for (const id of before.keys()) if (!now.has(id)) changed.push({ id, entry: undefined });
  return changed;
}
