// What one process, and one user, may have of a Unix socket that everybody may connect to: without a bound, one workload could take all that there is
// and leave the others nothing.
import type { Connection, UnixConnection } from './connection.ts';

export interface Shares {
  readonly connectionsPerProcess: number;
  readonly connectionsPerUser: number;
  /** Calls of every kind, from their first header on. */
  readonly streamsPerProcess: number;
  readonly streamsPerUser: number;
  /** After a rest it may begin as many at once as it may have open. */
  readonly callsPerSecondPerProcess: number;
  readonly callsPerSecondPerUser: number;
}

export interface Share {
  /** Says what is exceeded, where one more must not be; otherwise whoever entered leaves. */
  enter(connection: Connection): string | undefined;
  leave(connection: Connection): void;
}

interface Holder {
  readonly kind: 'process' | 'user';
  readonly id: number;
  readonly most: number;
}

/** `what` is counted, as `connections`. Peers over TLS have no share: each is one connection of many hosts, which its listener bounds. */
export function createShare(what: string, perProcess: number, perUser: number): Share {
  const held = { process: new Map<number, number>(), user: new Map<number, number>() };
  /** Processes whose pid is not visible here all have pid 0: they share what their user has. */
  const holdersOf = ({ pid, uid }: UnixConnection): Holder[] => [
    ...(pid === 0 ? [] : [{ kind: 'process', id: pid, most: perProcess } as const]),
    { kind: 'user', id: uid, most: perUser },
  ];
  return {
    enter(connection) {
      if (connection.transport !== 'unix') return undefined;
      const holders = holdersOf(connection);
      const full = holders.find(({ kind, id, most }) => (held[kind].get(id) ?? 0) >= most);
      if (full !== undefined) return `${full.kind} ${full.id} has ${full.most} ${what} open`;
      for (const { kind, id } of holders) held[kind].set(id, (held[kind].get(id) ?? 0) + 1);
      return undefined;
    },
    leave(connection) {
      if (connection.transport !== 'unix') return;
      for (const { kind, id } of holdersOf(connection)) {
        const left = (held[kind].get(id) ?? 0) - 1;
        if (left > 0) held[kind].set(id, left);
        else held[kind].delete(id);
      }
    },
  };
}
