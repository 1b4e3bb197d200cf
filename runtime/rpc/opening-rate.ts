// How often one process, and one user, may begin calls on a Unix socket. What is open is bounded elsewhere; whoever opens and drops at full speed has
// little open at any time, and would still have the server busy with nothing else.
import type { Connection, UnixConnection } from './connection.ts';

export interface RateOptions {
  readonly perSecond: number;
  /** At once, after a rest. */
  readonly burst: number;
}

export interface OpeningRateOptions {
  readonly process: RateOptions;
  readonly user: RateOptions;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

export interface OpeningRate {
  /** Says what is exceeded, where one more call must not begin now. */
  take(connection: Connection): string | undefined;
  /** The same of a connection: whoever has used all up gets no further one until it has rested. */
  refusesConnection(connection: Connection): string | undefined;
}

interface Bucket {
  tokens: number;
  at: number;
  isResting: boolean;
}

type Kind = 'process' | 'user';

/** Peers over TLS are not bounded here. */
export function createOpeningRate(options: OpeningRateOptions): OpeningRate {
  const buckets = { process: new Map<number, Bucket>(), user: new Map<number, Bucket>() };

  const fill = (kind: Kind, id: number): Bucket => {
    const { perSecond, burst } = options[kind];
    const at = options.now();
    const bucket = buckets[kind].get(id) ?? { tokens: burst, at, isResting: false };
    bucket.tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * perSecond);
    bucket.at = at;
    if (bucket.tokens >= burst) bucket.isResting = false;
    return bucket;
  };
  /** Processes whose pid is not visible here all have pid 0: they share what their user has. */
  const holdersOf = ({ pid, uid }: UnixConnection): (readonly [Kind, number])[] => [
    ...(pid === 0 ? [] : [['process', pid] as const]),
    ['user', uid] as const,
  ];
  const tooMany = (kind: Kind, id: number): string =>
    `${kind} ${id} begins more than ${options[kind].perSecond} calls a second`;
  /** Of processes that are gone, or rested. */
  let sweepAt = 0;
  const sweep = (): void => {
    if (options.now() < sweepAt) return;
    sweepAt = options.now() + 60_000;
    for (const kind of ['process', 'user'] as const)
      for (const id of buckets[kind].keys()) if (fill(kind, id).tokens >= options[kind].burst) buckets[kind].delete(id);
  };

  return {
    take(connection) {
      if (connection.transport !== 'unix') return undefined;
      sweep();
      const held = holdersOf(connection).map(([kind, id]) => ({ kind, id, bucket: fill(kind, id) }));
      const empty = held.find(({ bucket }) => bucket.tokens < 1);
      if (empty !== undefined) {
        empty.bucket.isResting = true;
        return tooMany(empty.kind, empty.id);
      }
      for (const { kind, id, bucket } of held) {
        bucket.tokens -= 1;
        buckets[kind].set(id, bucket);
      }
      return undefined;
    },
    refusesConnection(connection) {
      if (connection.transport !== 'unix') return undefined;
      const resting = holdersOf(connection).find(([kind, id]) => buckets[kind].has(id) && fill(kind, id).isResting);
      return resting === undefined ? undefined : tooMany(...resting);
    },
  };
}
