// A hint tells a workload with several identities which is which, so each may stand only once: the oldest entry keeps it.
import type { AgentEntry } from '../sync/entry.ts';

/** The items whose entries keep their place; the order stays. */
export function withUniqueHints<T>(items: readonly T[], entryOf: (item: T) => AgentEntry): T[] {
  const oldest = new Map<string, AgentEntry>();
  for (const item of items) {
    const entry = entryOf(item);
    const held = oldest.get(entry.hint);
    if (held === undefined || isOlder(entry, held)) oldest.set(entry.hint, entry);
  }
  return items.filter((item) => {
    const entry = entryOf(item);
    return entry.hint === '' || oldest.get(entry.hint) === entry;
  });
}

function isOlder(a: AgentEntry, b: AgentEntry): boolean {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt;
  return a.id < b.id;
}
