// Keeps the server's watch open, where the server has one. It only ever makes the agent ask sooner: without it, the agent polls as it does with a
// plain SPIRE server.
import type { Logger } from '../../log.ts';
import { RpcError, statusCode } from '../../rpc/status.ts';
import type { ServerLink } from '../node/server-link.ts';
import { refusalOf } from '../refusal.ts';
import type { SyncHints } from './hints.ts';

export interface WatchServerOptions {
  readonly link: ServerLink;
  readonly hints: SyncHints;
  readonly random: () => number;
  readonly log: Logger;
}

/** A plain server may have been replaced by one of ours. */
const askAgainMs = 5 * 60_000;
/** Agents that lose the same server do not come back together. */
const retryMs = { first: 200, longest: 5_000 };

/** Until the signal; never rejects. */
export async function watchServer(
  { link, hints, random, log }: WatchServerOptions,
  signal: AbortSignal,
): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  let wait = retryMs.first;
  while (!isOver()) {
    let isPlain = false;
    const renewed = new AbortController();
    const unlisten = link.onRenew(() => renewed.abort());
    try {
      const ended = AbortSignal.any([signal, renewed.signal]);
      for await (const message of link.clients().fleet.watch({ revision: hints.revision() }, { signal: ended })) {
        wait = retryMs.first;
        const { revision, entriesChanged: entries, bundlesChanged: bundles } = message;
        hints.told({ revision, entries, bundles });
      }
    } catch (error) {
      if (!isOver() && !renewed.signal.aborted) log.debug({ err: error }, 'Watch on the server ended');
      // Whether that is so, and what follows from it, the next sync will hear.
      if (refusalOf(error) !== undefined) hints.told({ revision: hints.revision(), entries: true, bundles: true });
      isPlain = isUnimplemented(error);
    } finally {
      unlisten();
    }
    hints.lost();
    if (renewed.signal.aborted) continue;
    await pause((isPlain ? askAgainMs : wait) * (0.5 + random()), signal);
    wait = Math.min(wait * 2, retryMs.longest);
  }
}

function isUnimplemented(error: unknown): boolean {
  return error instanceof RpcError && error.code === statusCode.UNIMPLEMENTED;
}

/** Ends early when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
