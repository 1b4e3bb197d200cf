// Keeps the bundles of the trust domains that we federate with fresh: those of the configuration and those of the store, which every server on the
// database follows. A change of a relationship takes effect at once; a slow look at all of them makes up for what a lost notification missed.
import type { Logger } from '../../log.ts';
import { createIdleMetrics } from '../../telemetry/registry.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { FederationRelationshipRecord, StoreChange } from '../store/records.ts';
import type { Store } from '../store/store.ts';
import { followRelationship } from './follow-relationship.ts';
import type { Following, Timers } from './follow-relationship.ts';
import type { FetchBundle } from './fetch-bundle.ts';
import { relationshipOfRecord, relationshipsEqual } from './relationship.ts';
import type { FederationRelationship } from './relationship.ts';
import { measureUpdates } from '../telemetry/measured-parts.ts';
import { createBundleUpdater } from './update-bundle.ts';

export interface BundleRefresher {
  /** Fetches now, at an operator's word. False where there is no relationship with the trust domain. Throws a FederationError. */
  refresh(trustDomain: TrustDomain): Promise<boolean>;
  close(): Promise<void>;
}

export interface BundleRefresherOptions {
  /** Our own trust domain, whose bundle nobody else gives us. */
  readonly trustDomain: TrustDomain;
  readonly store: Pick<
    Store,
    'allFederationRelationships' | 'fetchBundle' | 'setBundle' | 'saveFetchedBundle' | 'watch'
  >;
  /** Of the configuration: they come before those of the store. */
  readonly configured: readonly FederationRelationship[];
  readonly fetchBundle: FetchBundle;
  readonly timers?: Timers;
  readonly log: Logger;
  readonly metrics?: Metrics;
}

const reloadMs = 10_000;

export const processTimers: Timers = {
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

export function startBundleRefresher(options: BundleRefresherOptions): BundleRefresher {
  const { trustDomain: own, store, configured, fetchBundle, timers = processTimers, log } = options;
  const { metrics = createIdleMetrics() } = options;
  const update = measureUpdates(createBundleUpdater({ store, fetchBundle }), metrics);
  const followed = new Map<string, Following>();
  let closed = false;
  const isClosed = (): boolean => closed;
  let cancelTimer = (): void => undefined;
  let reloading: Promise<void> = Promise.resolve();
  let isReloadQueued = false;

  const relationshipsNow = async (): Promise<Map<string, FederationRelationship>> => {
    const stored = (await store.allFederationRelationships()).flatMap(readRecord);
    const all = [...stored, ...configured].filter(({ trustDomain }) => !trustDomain.equals(own));
    return new Map(all.map((relationship) => [relationship.trustDomain.name, relationship]));
  };

  const readRecord = (record: FederationRelationshipRecord): FederationRelationship[] => {
    try {
      return [relationshipOfRecord(record)];
    } catch (error) {
      log.warn({ trust_domain: record.trustDomain, err: error }, 'Ignoring federation relationship that does not hold');
      return [];
    }
  };

  const follow = (name: string, relationship: FederationRelationship): void => {
    const following = followed.get(name);
    const fields = { trust_domain: name, bundle_endpoint_url: relationship.url.text };
    const labels = { ...fields, bundle_endpoint_profile: relationship.profile.kind };
    if (following === undefined) {
      log.info(labels, 'Trust domain is now managed');
      followed.set(name, followRelationship(relationship, { update, keptBundle: store.fetchBundle, timers, log }));
    } else if (!relationshipsEqual(following.relationship(), relationship)) {
      log.info(labels, 'Updated configuration for managed trust domain');
      following.change(relationship);
    }
  };

  const reconcile = async (): Promise<void> => {
    const relationships = await relationshipsNow();
    if (isClosed()) return;
    const gone = [...followed].filter(([name]) => !relationships.has(name));
    for (const [name] of gone) {
      log.info({ trust_domain: name }, 'Trust domain no longer managed');
      followed.delete(name);
    }
    await Promise.all(gone.map(([, following]) => following.stop()));
    for (const [name, relationship] of relationships) follow(name, relationship);
  };

  /** One after the other, each with what the store has when it begins: whoever asks before that shares it. */
  const reload = (): Promise<void> => {
    if (isReloadQueued) return reloading;
    isReloadQueued = true;
    reloading = reloading.then(async () => {
      isReloadQueued = false;
      if (isClosed()) return;
      await reconcile().catch((error: unknown) => {
        if (!isClosed()) log.error({ err: error }, 'Failed to reload configs');
      });
      cancelTimer();
      if (!isClosed()) cancelTimer = timers.after(reloadMs, () => void reload());
    });
    return reloading;
  };

  /** An https_spiffe endpoint can be judged from now on. */
  const bundleArrived = (isFor: (trustDomain: string) => boolean): void => {
    for (const following of followed.values()) {
      const missing = following.missingBundle();
      if (missing !== undefined && isFor(missing)) following.poll();
    }
  };

  const unwatch = store.watch((change: StoreChange) => {
    if (change.kind === 'bundle') bundleArrived((name) => name === change.id);
    if (change.kind === 'reset') bundleArrived(() => true);
    if (change.kind === 'federation_relationship' || change.kind === 'reset') void reload();
  });
  void reload();

  return {
    async refresh(trustDomain) {
      await reload();
      const following = followed.get(trustDomain.name);
      await following?.refresh();
      return following !== undefined;
    },
    async close() {
      closed = true;
      unwatch();
      cancelTimer();
      await reloading;
      await Promise.all([...followed.values()].map((following) => following.stop()));
      followed.clear();
    },
  };
}
