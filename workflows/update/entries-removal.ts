// Entries that an update takes away, and what is known of their identities then.
import type { FoundEntry } from '../../activities/update/update.ts';
import { onUpdate } from '../lib/calls.ts';
import type { Removal } from '../lib/saga.ts';
import type { NarrowingProofs } from './narrowing-proofs.ts';

/** None where there are no entries. */
export function entriesRemoval(
  on: { readonly trustDomain: string; readonly address: string },
  entries: readonly FoundEntry[],
  proofs: Pick<NarrowingProofs, 'entriesGone'> | undefined,
): Removal[] {
  if (entries.length === 0) return [];
  const [ids, spiffeIds] = [entries.map(({ id }) => id), entries.map(({ spiffeId }) => spiffeId)];
  const run = async () => {
    await onUpdate().deleteEntries({ ...on, ids });
    proofs?.entriesGone(spiffeIds);
  };
  return [{ name: `entries of ${spiffeIds.join(', ')}`, run }];
}
