// Undoes what a drill broke, from what was written down before it was broken.
import type { KeptEntry, Mending } from '../../activities/drills/drill.ts';
import type { OnTier } from '../../activities/runbooks/runbook.ts';
import { onCloud, onDrillMending } from '../lib/calls.ts';

export function mend(mending: Mending): Promise<void> {
  switch (mending.kind) {
    case 'lab':
      return onDrillMending().removeFault({ infrastructure: mending.infrastructure, fault: mending.fault });
    case 'datastore':
      return onCloud(mending.cloud, 'removal').ensureDatastoreOpen(mending.datastore);
    case 'entries':
      return putBack(mending);
  }
}

async function putBack({ trustDomain, tier, entries }: OnTier & { entries: readonly KeptEntry[] }): Promise<void> {
  if (entries.length > 0) await onDrillMending().ensureWorkloadEntries({ trustDomain, tier, entries });
}
