// What one set of selectors is entitled to at one moment, and when two such moments are the same.
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { AgentEntry } from '../sync/entry.ts';
import type { WorkloadSvid } from './workload-svid.ts';

export interface WorkloadIdentity {
  readonly entry: AgentEntry;
  readonly svid: WorkloadSvid;
}

/** Everything that one set of selectors is entitled to. */
export interface WorkloadUpdate {
  readonly identities: readonly WorkloadIdentity[];
  readonly bundle: TrustBundle;
  readonly federatedBundles: readonly TrustBundle[];
}

export function isSameUpdate(a: WorkloadUpdate, b: WorkloadUpdate): boolean {
  return (
    a.bundle === b.bundle &&
    a.identities.length === b.identities.length &&
    a.identities.every(({ entry, svid }, i) => entry === b.identities[i]?.entry && svid === b.identities[i].svid) &&
    isSameList(a.federatedBundles, b.federatedBundles)
  );
}

export function isSameList(a: readonly TrustBundle[], b: readonly TrustBundle[]): boolean {
  return a.length === b.length && a.every((bundle, i) => bundle === b[i]);
}
