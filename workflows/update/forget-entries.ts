// The undo of entries that an update has made.
import type { FoundEntry } from '../../activities/update/update.ts';
import { onUpdate } from '../lib/calls.ts';

/** Those of the identities below the alias that are the control plane's own, but for those that were there before. */
export async function forgetEntries(
  on: { readonly trustDomain: string; readonly address: string },
  aliasId: string,
  spiffeIds: readonly string[],
  before: readonly FoundEntry[],
): Promise<void> {
  const found = await onUpdate().listEntries({ ...on, parentId: aliasId });
  const ids = found
    .filter(
      ({ isOurs, spiffeId, id }) => isOurs && spiffeIds.includes(spiffeId) && !before.some((one) => one.id === id),
    )
    .map(({ id }) => id);
  if (ids.length > 0) await onUpdate().deleteEntries({ ...on, ids });
}
