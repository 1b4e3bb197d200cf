// Which of the authorities found at the start takes which place. The last word on an authority is the bundle's, not the journal's.
import type { RestoredSlots } from './rotation.ts';
import type { Slot, SlotStatus } from './slot.ts';
import type { Vouching } from './vouching.ts';

/** The newest last. One key has one slot, so of those that were noted in the same slot the newest alone has its key. */
export function placeRestored<S extends Slot>(
  found: readonly (readonly [S, SlotStatus])[],
  { isPublished, isTainted }: Vouching<S>,
): RestoredSlots<S> {
  const published = found.filter(([slot]) => isPublished(slot));
  // Tainted, it has been replaced, whether or not that was noted before the process ended.
  const placed = published.map(([slot, status]) => [slot, isTainted(slot) ? 'old' : status] as const);
  const newest = (status: SlotStatus): S | undefined => placed.findLast(([, noted]) => noted === status)?.[0];
  return { active: newest('active'), prepared: newest('prepared'), old: newest('old') };
}

/** Authorities that are ours and published, but not in the journal: the newest is the successor, whatever else there is was before it. */
export function placeOrphans<S extends Slot>(orphans: readonly S[]): (readonly [S, SlotStatus])[] {
  const byAge = [...orphans].sort((a, b) => a.issuedAt - b.issuedAt);
  return byAge.map((slot, i) => [slot, i === byAge.length - 1 ? 'prepared' : 'old'] as const);
}
