// Finds the entries whose selectors a process has, without looking at every entry: each is filed under one of its selectors.
import { formatSelector } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { AgentEntry } from '../sync/entry.ts';

export interface EntryIndex {
  /** In the order of their ids. */
  matching(selectors: readonly Selector[]): AgentEntry[];
}

interface Filed {
  readonly entry: AgentEntry;
  readonly wanted: readonly string[];
}

export function createEntryIndex(entries: Iterable<AgentEntry>): EntryIndex {
  const shelves = new Map<string, Filed[]>();
  for (const entry of entries) {
    const wanted = entry.selectors.map(formatSelector);
    const [first] = wanted;
    if (first === undefined) continue; // an entry without selectors would match every process
    const shelf = shelves.get(first);
    if (shelf === undefined) shelves.set(first, [{ entry, wanted }]);
    else shelf.push({ entry, wanted });
  }
  return {
    matching(selectors) {
      const have = new Set(selectors.map(formatSelector));
      const found: AgentEntry[] = [];
      for (const selector of have) {
        for (const { entry, wanted } of shelves.get(selector) ?? []) {
          if (wanted.every((one) => have.has(one))) found.push(entry);
        }
      }
      return found.sort((a, b) => (a.id < b.id ? -1 : 1));
    },
  };
}
