// Our trust domain's bundle in memory, as new as the store's notifications make it: every TLS handshake reads it.
import type { Logger } from '../../log.ts';
import { bundlesEqual, emptyBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { Store } from '../store/store.ts';

export interface LiveBundle {
  readonly current: () => TrustBundle;
  /** Reads the store now. */
  refresh(): Promise<TrustBundle>;
  readonly onChange: (listener: (bundle: TrustBundle) => void) => () => void;
  close(): void;
}

const retryMs = 1_000;

export function createLiveBundle(store: Store, trustDomain: TrustDomain, log: Logger): LiveBundle {
  const listeners = new Set<(bundle: TrustBundle) => void>();
  let current = emptyBundle(trustDomain);
  let retry: NodeJS.Timeout | undefined;
  let [started, applied] = [0, 0];
  let isClosed = false;

  const refresh = async (): Promise<TrustBundle> => {
    const turn = (started += 1);
    const read = (await store.fetchBundle(trustDomain.name)) ?? emptyBundle(trustDomain);
    // Answers may overtake each other: an older one does not replace a newer one.
    if (turn < applied) return current;
    applied = turn;
    if (bundlesEqual(read, current)) return current;
    current = read;
    for (const listener of listeners) listener(read);
    return read;
  };

  const refreshSoon = (): void => {
    clearTimeout(retry);
    refresh().catch((error: unknown) => {
      if (isClosed) return; // the store is closed as well, and nobody asks any more
      log.warn({ err: error }, 'cannot read the bundle, trying again');
      retry = setTimeout(refreshSoon, retryMs);
    });
  };

  const unwatch = store.watch((change) => {
    if (change.kind === 'reset' || (change.kind === 'bundle' && change.id === trustDomain.name)) refreshSoon();
  });

  return {
    current: () => current,
    refresh,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      isClosed = true;
      unwatch();
      clearTimeout(retry);
    },
  };
}
