// Counts streams where HTTP/2 opens them: a call that never sends its request is known to no handler, and costs as much as one that does.
import type { ServerHttp2Stream } from 'node:http2';
import type { Connection } from './connection.ts';
import { createOpeningRate } from './opening-rate.ts';
import type { RateOptions } from './opening-rate.ts';
import { createShare } from './shares.ts';
import type { Shares } from './shares.ts';

export interface StreamShare {
  /** Says what is exceeded, where one more must not be; otherwise it counts until it closes. */
  enter(stream: ServerHttp2Stream, connection: Connection): string | undefined;
  /** The same of a connection that is to be opened. */
  refusesConnection(connection: Connection): string | undefined;
}

/** Whoever goes on opening streams on a connection after so many refusals loses it: a refused stream is held until its caller lets it go. */
const maxRefusedStreams = 100;

export function createStreamShare(shares: Shares, now: () => number): StreamShare {
  const { streamsPerProcess, streamsPerUser, callsPerSecondPerProcess, callsPerSecondPerUser } = shares;
  const share = createShare('streams', streamsPerProcess, streamsPerUser);
  const rate = createOpeningRate({
    process: rateOf(callsPerSecondPerProcess, streamsPerProcess),
    user: rateOf(callsPerSecondPerUser, streamsPerUser),
    now,
  });
  const refusals = new WeakMap<Connection, number>();
  return {
    enter(stream, connection) {
      const exceeded = rate.take(connection) ?? share.enter(connection);
      if (exceeded === undefined) {
        stream.once('close', () => share.leave(connection));
        return undefined;
      }
      const refused = (refusals.get(connection) ?? 0) + 1;
      refusals.set(connection, refused);
      if (refused > maxRefusedStreams) stream.session?.destroy();
      return exceeded;
    },
    refusesConnection: (connection) => rate.refusesConnection(connection),
  };
}

/** Whoever comes back after an interruption opens at once what it had open. */
function rateOf(perSecond: number, open: number): RateOptions {
  return { perSecond, burst: Math.max(perSecond, open) };
}
