// Follows one relationship: its bundle is fetched now, and again when it is due, one attempt at a time, until it is stopped.
import type { Logger } from '../../log.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { FederationError } from './errors.ts';
import { refreshIntervalMs } from './refresh-interval.ts';
import type { FederationRelationship } from './relationship.ts';
import type { UpdateBundle } from './update-bundle.ts';

/** Calls once, later; the way not to. */
export interface Timers {
  after(ms: number, act: () => void): () => void;
}

export interface FollowOptions {
  readonly update: UpdateBundle;
  /** What is kept now: after a failure, it says when to try again. */
  readonly keptBundle: (trustDomain: string) => Promise<TrustBundle | undefined>;
  readonly timers: Timers;
  readonly log: Logger;
}

export interface Following {
  relationship(): FederationRelationship;
  /** Goes on with another endpoint, at once. */
  change(relationship: FederationRelationship): void;
  /** Tries at once; whatever comes of it is logged. */
  poll(): void;
  /** For an operator, who hears what came of it. */
  refresh(): Promise<void>;
  /** The trust domain whose bundle was missing at the last attempt, so that the endpoint could not be judged. */
  missingBundle(): string | undefined;
  /** Ends the attempt that runs; done when nothing is stored any more. */
  stop(): Promise<void>;
}

export function followRelationship(
  first: FederationRelationship,
  { update, keptBundle, timers, log: parentLog }: FollowOptions,
): Following {
  const log = parentLog.child({ trust_domain: first.trustDomain.name });
  let relationship = first;
  let ending = new AbortController();
  let [isStopped, isQueued] = [false, false];
  let missing: string | undefined;
  let cancelTimer = (): void => undefined;
  let last: Promise<unknown> = Promise.resolve();

  const scheduleAfter = (bundle: TrustBundle | undefined): void => {
    cancelTimer();
    if (isStopped) return;
    const ms = refreshIntervalMs(bundle);
    log.debug({ in_seconds: ms / 1000 }, 'Scheduling next bundle refresh');
    cancelTimer = timers.after(ms, poll);
  };

  const attempt = async (force: boolean): Promise<void> => {
    if (isStopped) throw new FederationError('ENDED', 'the relationship has ended');
    const { signal } = ending;
    const { trustDomain, profile } = relationship;
    missing = undefined;
    try {
      log.debug('Polling for bundle update');
      const { bundle, changed } = await update(relationship, { force, signal });
      if (changed) log.info({ sequence_number: bundle.sequenceNumber }, 'Bundle refreshed');
      scheduleAfter(bundle);
    } catch (error) {
      const code = error instanceof FederationError ? error.code : undefined;
      if (code === 'NO_ENDPOINT_BUNDLE' && profile.kind === 'https_spiffe')
        missing = profile.endpointId.trustDomain.name;
      scheduleAfter(await keptBundle(trustDomain.name).catch(() => undefined)); // a store that is away tells nothing: the shortest wait
      throw error;
    }
  };

  const enqueue = (act: () => Promise<void>): Promise<void> => {
    const turn = last.then(act);
    last = turn.catch(() => undefined); // whoever asked for the turn hears of it
    return turn;
  };

  const poll = (): void => {
    if (isQueued) return;
    isQueued = true;
    enqueue(() => {
      isQueued = false;
      return attempt(false);
    }).catch((error: unknown) => {
      const ended = error instanceof FederationError && error.code === 'ENDED';
      if (!ended) log.error({ err: error }, 'Error updating bundle');
    });
  };

  const cut = (reason: string): void => {
    cancelTimer();
    ending.abort(new Error(reason));
  };

  poll();
  return {
    relationship: () => relationship,
    change(next) {
      cut('the relationship has another endpoint');
      ending = new AbortController();
      relationship = next;
      poll();
    },
    poll,
    refresh: () => enqueue(() => attempt(true)),
    missingBundle: () => missing,
    async stop() {
      isStopped = true;
      cut('the relationship has ended');
      await last;
    },
  };
}
