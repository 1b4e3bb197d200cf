// Tells what changed in the database, by whichever server: at once by LISTEN/NOTIFY, and by a slow poll for what a lost notification missed.
import type pg from 'pg';
import type { Logger } from '../../log.ts';
import type { Database } from './database.ts';
import type { StoreChange } from './records.ts';

export interface ChangeFeed {
  readonly watch: (listener: (change: StoreChange) => void) => () => void;
  close(): Promise<void>;
}

export interface ChangeFeedOptions {
  readonly database: Database;
  readonly log: Logger;
  readonly clock: () => number;
  readonly pollMs?: number;
  /** For so long changes are kept. */
  readonly retentionMs?: number;
}

interface ChangeRow {
  /** Every transaction below it has ended. */
  readonly horizon: string;
  readonly revision: number | null;
  readonly kind: Exclude<StoreChange['kind'], 'reset'>;
  readonly subject: string;
  readonly settled: boolean;
}

const defaultPollMs = 5_000;
const reconnectMs = 1_000;
const defaultRetentionMs = 12 * 3_600_000;
const pruneMs = 3_600_000;

const readHorizon = 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon';
// One statement sees one snapshot: what it does not show yet is at or above the horizon, and comes with the next poll.
const readChanges = `SELECT h.horizon, c.revision, c.kind, c.subject, c.xact < h.horizon::xid8 AS settled
  FROM (${readHorizon}) h LEFT JOIN changes c ON c.xact >= $1::xid8 ORDER BY c.revision`;

export async function openChangeFeed({
  database,
  log,
  clock,
  pollMs = defaultPollMs,
  retentionMs = defaultRetentionMs,
}: ChangeFeedOptions): Promise<ChangeFeed> {
  /** Behind for longer than this, changes may have been deleted unseen. */
  const maxGapMs = retentionMs / 2;
  const listeners = new Set<(change: StoreChange) => void>();
  const tell = (change: StoreChange): void => {
    for (const listener of listeners) listener(change);
  };
  let closed = false;
  const isClosed = (): boolean => closed;
  let [horizon, readAt] = [(await database.query<ChangeRow>(readHorizon))[0]?.horizon ?? '0', clock()];
  let prunedAt = 0;
  /** Revisions told already whose transactions are not below the horizon. */
  let told = new Set<number>();

  const readOnce = async (): Promise<void> => {
    const startedAt = clock();
    const gap = startedAt - readAt > maxGapMs;
    const rows = await database.query<ChangeRow>(readChanges, [horizon]);
    const fresh = rows.filter(({ revision }) => revision !== null && !told.has(revision));
    told = new Set(rows.flatMap(({ revision, settled }) => (revision === null || settled ? [] : [revision])));
    [horizon, readAt] = [rows[0]?.horizon ?? horizon, startedAt];
    if (gap) tell({ kind: 'reset' });
    for (const { kind, subject, revision } of fresh) tell({ kind, id: subject, revision: revision ?? 0 });
  };

  const prune = async (): Promise<void> => {
    if (clock() - prunedAt < pruneMs) return;
    prunedAt = clock();
    await database.query(`DELETE FROM changes WHERE at < now() - $1 * interval '1 millisecond'`, [retentionMs]);
  };

  let [reading, again] = [Promise.resolve(), false];
  let busy = false;
  /** One read at a time; a call during one leads to another after it. */
  const read = (): void => {
    again = true;
    if (busy || closed) return;
    busy = true;
    reading = (async () => {
      while (again && !isClosed()) {
        again = false;
        await readOnce().catch((error: unknown) => log.warn({ err: error }, 'cannot read changes, trying again'));
      }
      // In the same turn as the last look: a call that comes now starts anew.
      busy = false;
    })();
  };

  const listening = listenForever(database, log, read, isClosed);
  const poll = setInterval(() => {
    read();
    void prune().catch((error: unknown) => log.warn({ err: error }, 'cannot prune changes'));
  }, pollMs);

  return {
    watch(listener) {
      const guarded = (change: StoreChange): void => {
        try {
          listener(change);
        } catch (error) {
          log.error({ err: error }, 'a listener failed on a change');
        }
      };
      listeners.add(guarded);
      return () => listeners.delete(guarded);
    },
    async close() {
      closed = true;
      clearInterval(poll);
      await listening.stop();
      await reading;
    },
  };
}

/** A connection that listens, replaced when it breaks; after each connect one read, for what was missed meanwhile. */
function listenForever(database: Database, log: Logger, read: () => void, isClosed: () => boolean) {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  const connect = async (): Promise<void> => {
    const next = database.createClient();
    client = next;
    let ended = false;
    const reconnect = (): void => {
      if (ended || isClosed()) return;
      ended = true;
      void next.end().catch(() => undefined); // It is broken already.
      timer = setTimeout(() => void connect(), reconnectMs);
    };
    next.on('error', reconnect);
    next.on('end', reconnect);
    next.on('notification', read);
    try {
      await next.connect();
      await next.query('LISTEN espalier_changes');
      read();
    } catch (error) {
      log.warn({ err: error }, 'cannot listen for changes, trying again');
      reconnect();
    }
  };
  const connecting = connect();
  return {
    async stop(): Promise<void> {
      clearTimeout(timer);
      await connecting;
      await client?.end().catch(() => undefined); // It was broken already.
    },
  };
}
