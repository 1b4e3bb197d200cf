// Keeps the server's watch open, where the server has one. It only ever makes the agent ask sooner: without it, the agent polls as it does with a
// plain SPIRE server.
import type { Logger } from '../../log.ts';
import { keepWatching } from '../../rpc/keep-watching.ts';
import type { ServerLink } from '../node/server-link.ts';
import { refusalOf } from '../refusal.ts';
import type { SyncHints } from './hints.ts';

export interface WatchServerOptions {
  readonly link: ServerLink;
  readonly hints: SyncHints;
  /** It stands, again or for the first time: the server answers. */
  readonly onStanding: () => void;
  readonly random: () => number;
  readonly log: Logger;
}

/** Until the signal; never rejects. */
export function watchServer(options: WatchServerOptions, signal: AbortSignal): Promise<void> {
  const { link, hints, onStanding, random, log } = options;
  return keepWatching(
    {
      random,
      open: (ended) => link.clients().fleet.watch({ revision: hints.revision() }, { signal: ended }),
      onRestart: (listener) => link.onRenew(listener),
      onMessage({ revision, entriesChanged: entries, bundlesChanged: bundles }) {
        const stood = hints.isWatching();
        hints.told({ revision, entries, bundles });
        if (!stood) onStanding();
      },
      onLost(error) {
        if (error !== undefined) log.debug({ err: error }, 'Watch on the server ended');
        // Whether that is so, and what follows from it, the next sync will hear.
        if (refusalOf(error) !== undefined) hints.told({ revision: hints.revision(), entries: true, bundles: true });
        hints.lost();
      },
    },
    signal,
  );
}
