// The bundles of other trust domains in memory, as revisions only: so that a change of one is told to the agents whose entries federate with it.
import type { Logger } from '../../log.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { Store } from '../store/store.ts';
import { bundleRevision } from './revision.ts';

export interface FederatedRevisions {
  /** Empty where there is no bundle of that trust domain. */
  readonly of: (trustDomain: string) => string;
  readonly onChange: (listener: () => void) => void;
  close(): void;
}

export interface FederatedRevisionsOptions {
  readonly store: Pick<Store, 'listBundles' | 'watch'>;
  readonly trustDomain: TrustDomain;
  readonly log: Logger;
}

const retryMs = 1_000;

/** Resolves once all are read. There are few, so every change reads all of them. */
export async function followFederatedBundles(options: FederatedRevisionsOptions): Promise<FederatedRevisions> {
  const { store, trustDomain, log } = options;
  const listeners = new Set<() => void>();
  let revisions = new Map<string, string>();
  // From the first look at the store on: a change that is told meanwhile is read after it.
  let running = true;
  let [isClosed, again] = [false, false];
  const isOver = (): boolean => isClosed;
  const isAskedAgain = (): boolean => again;
  let retry: NodeJS.Timeout | undefined;

  const read = async (): Promise<void> => {
    const { bundles } = await store.listBundles();
    const others = bundles.filter((bundle) => !bundle.trustDomain.equals(trustDomain));
    revisions = new Map(others.map((bundle) => [bundle.trustDomain.name, bundleRevision(bundle)]));
  };
  const readSoon = (): void => {
    again = true;
    if (running || isClosed) return;
    running = true;
    void (async () => {
      try {
        while (isAskedAgain()) {
          again = false;
          await read();
          for (const listener of listeners) listener();
        }
      } catch (error) {
        if (isOver()) return; // the store is closed as well, and nobody asks any more
        log.warn({ err: error }, 'cannot follow federated bundles, trying again');
        retry = setTimeout(readSoon, retryMs);
      } finally {
        running = false; // in the same turn as the last look: a change that comes now starts anew
      }
    })();
  };

  const unwatch = store.watch((change) => {
    if (change.kind === 'reset' || (change.kind === 'bundle' && change.id !== trustDomain.name)) readSoon();
  });
  try {
    await read();
  } catch (error) {
    unwatch();
    throw error;
  }
  running = false;
  if (isAskedAgain()) readSoon();
  return {
    of: (name) => revisions.get(name) ?? '',
    onChange: (listener) => void listeners.add(listener),
    close() {
      isClosed = true;
      unwatch();
      clearTimeout(retry);
    },
  };
}
