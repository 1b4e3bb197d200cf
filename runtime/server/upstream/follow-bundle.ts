// Follows the bundle of a server above: at once where that one is ours and tells of changes, else by asking every few seconds. An agent beside us
// that hears of a change first wakes it too.
import type { WatchResponse } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Logger } from '../../log.ts';
import { keepWatching } from '../../rpc/keep-watching.ts';
import { createAlarm } from '../ca/alarm.ts';
import type { UpstreamBundle } from './upstream-authority.ts';

export interface FollowBundleOptions {
  readonly fetchBundle: (signal: AbortSignal) => Promise<UpstreamBundle>;
  readonly openWatch: (revision: string, signal: AbortSignal) => AsyncIterable<WatchResponse>;
  /** Calls the listener when an agent has news; resolves, with the way to stop, once there is an agent. */
  readonly onAgentUpdate: (listener: () => void, signal: AbortSignal) => Promise<() => void>;
  readonly pollMs: number;
  readonly log: Logger;
}

/** A server that tells of changes is asked all the same, in case it told too little. */
const watchedPollMs = 30_000;

/** Tells of each answer, until the signal. */
export async function followBundle(
  { fetchBundle, openWatch, onAgentUpdate, pollMs, log }: FollowBundleOptions,
  listener: (bundle: UpstreamBundle) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const alarm = createAlarm();
  const isOver = (): boolean => signal.aborted;
  let [isWatching, told, acted] = [false, '', ''];
  let unlisten: (() => void) | undefined;
  const wake = (): void => alarm.ring();
  signal.addEventListener('abort', wake, { once: true });

  const watching = keepWatching(
    {
      random: Math.random,
      open: (ended) => openWatch(acted, ended),
      onMessage({ revision, bundlesChanged }) {
        [isWatching, told] = [true, revision];
        if (bundlesChanged) wake();
      },
      onLost(error) {
        isWatching = false;
        if (error !== undefined) log.debug({ err: error }, 'watch on the upstream ended');
      },
    },
    signal,
  );
  while (!isOver()) {
    let isDone = false;
    try {
      unlisten ??= await onAgentUpdate(wake, signal);
      const began = told;
      await listener(await fetchBundle(signal));
      [acted, isDone] = [began, true];
    } catch (error) {
      if (!isOver()) log.warn({ err: error }, 'cannot follow the upstream bundle, trying again');
    }
    if (!isOver()) await alarm.wait(isDone && isWatching ? watchedPollMs : pollMs);
  }
  unlisten?.();
  await watching;
}
