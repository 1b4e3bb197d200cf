// One update of the bundle that is kept of another trust domain: fetched, compared, stored. It is replaced whole, never merged, and never by an older
// one unless an operator asks for that: a trust domain whose numbers begin anew (its database was lost) needs a person who says so.
import { bundlesEqual } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { Store } from '../store/store.ts';
import { FederationError } from './errors.ts';
import type { FetchBundle } from './fetch-bundle.ts';
import type { FederationRelationship } from './relationship.ts';

export interface UpdateOptions {
  /** An operator asked: what the endpoint serves is taken, older or not. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

export interface Updated {
  /** What is kept now. */
  readonly bundle: TrustBundle;
  readonly changed: boolean;
}

export type UpdateBundle = (relationship: FederationRelationship, options: UpdateOptions) => Promise<Updated>;

export interface BundleUpdaterOptions {
  readonly store: Pick<Store, 'fetchBundle' | 'setBundle' | 'saveFetchedBundle'>;
  readonly fetchBundle: FetchBundle;
}

export function createBundleUpdater({ store, fetchBundle }: BundleUpdaterOptions): UpdateBundle {
  /** The machine's roots judge https_web endpoints, which need none of these. */
  const rootsFor = async ({ profile }: FederationRelationship): Promise<readonly Uint8Array[]> => {
    if (profile.kind === 'https_web') return [];
    const bundle = await store.fetchBundle(profile.endpointId.trustDomain.name);
    if (bundle === undefined)
      throw new FederationError(
        'NO_ENDPOINT_BUNDLE',
        "can't perform SPIFFE Authentication: local copy of bundle not found",
      );
    return bundle.x509Authorities.map(({ asn1 }) => asn1);
  };

  return async (relationship, { force, signal }) => {
    const fetched = await fetchBundle(relationship, { roots: await rootsFor(relationship), signal });
    const kept = await store.fetchBundle(relationship.trustDomain.name);
    if (kept !== undefined && bundlesEqual(kept, fetched)) return { bundle: kept, changed: false };
    // Whoever ended the relationship may have removed the bundle too.
    if (signal.aborted) throw new FederationError('ENDED', 'the relationship has ended', { cause: signal.reason });
    if (force) return { bundle: await store.setBundle(fetched), changed: true };
    if (await store.saveFetchedBundle(fetched)) return { bundle: fetched, changed: true };
    const newest = kept === undefined ? 'what is kept' : `${kept.sequenceNumber}, which is kept`;
    throw new FederationError(
      'SEQUENCE',
      `endpoint serves sequence number ${fetched.sequenceNumber}, older than ${newest}; a refresh that is asked for takes it`,
    );
  };
}
