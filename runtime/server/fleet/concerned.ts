// Whom a change of entries concerns: the agents that an entry hangs on, directly, by other entries between, or by a node alias whose selectors an
// agent fulfils. Pure: who watches is watchers.ts.
import { formatSelector } from '../../spiffe/selector.ts';
import { isServerPath, parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { EntryRecord } from '../store/records.ts';

export interface Concerned {
  /** SPIFFE IDs that the entries hang on; agents are among them. */
  readonly ids: ReadonlySet<string>;
  /** Agents with all selectors of one of these. */
  readonly aliases: readonly (readonly string[])[];
}

/** A link of the chain that changed too is among the entries itself, so the chain as it is now is enough. */
export function concernedBy(
  entries: Iterable<EntryRecord>,
  entriesFor: (spiffeId: string) => Iterable<EntryRecord>,
): Concerned {
  const ids = new Set<string>();
  const aliases: string[][] = [];
  const rising = [...entries];
  for (let entry = rising.pop(); entry !== undefined; entry = rising.pop()) {
    if (isServer(entry.parentId)) {
      aliases.push(entry.selectors.map(formatSelector));
      continue;
    }
    if (ids.has(entry.parentId)) continue;
    ids.add(entry.parentId);
    rising.push(...entriesFor(entry.parentId));
  }
  return { ids, aliases };
}

function isServer(spiffeId: string): boolean {
  return isServerPath(parseSpiffeId(spiffeId).path);
}
