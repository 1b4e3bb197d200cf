// Reads whole tables from a replica that may lag behind, and makes up for the lag: what the database has noted as changed since the moment that the
// replica shows is read from the database itself.
import type { Logger } from '../../log.ts';
import { allRows } from './all-rows.ts';
import type { Table } from './all-rows.ts';
import type { Database } from './database.ts';

export interface ReplicaReads {
  readonly database: Database;
  /** Absent where there is none: everything then comes from the database. */
  readonly replica: Database | undefined;
  readonly log: Logger;
}

// Transactions below it have ended there, as the replica sees it; those at or above it may be missing.
const readHorizon = 'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon';
const readChanged = 'SELECT DISTINCT subject FROM changes WHERE kind = $1 AND xact >= $2::xid8';
const sliceSize = 500;

/** What changes while this is read is told by the change feed, as with every read of a whole table. */
export async function* allRowsByReplica<T>(
  { database, replica, log }: ReplicaReads,
  table: Table<T>,
): AsyncGenerator<T[], void, undefined> {
  const horizon = await horizonOf(replica, log);
  if (replica === undefined || horizon === undefined) return yield* allRows(database, table);
  const rows = await database.query<{ subject: string }>(readChanged, [table.kind, horizon]);
  const changed = new Set(rows.map(({ subject }) => subject));
  for await (const page of allRows(replica, table)) yield page.filter((record) => !changed.has(table.keyOf(record)));
  const keys = [...changed];
  for (let start = 0; start < keys.length; start += sliceSize) {
    yield await table.fetch(keys.slice(start, start + sliceSize));
  }
}

async function horizonOf(replica: Database | undefined, log: Logger): Promise<string | undefined> {
  try {
    const [row] = (await replica?.query<{ horizon: string }>(readHorizon)) ?? [];
    return row?.horizon;
  } catch (error) {
    log.warn({ err: error }, 'read-only database does not answer, reading from the other one');
    return undefined;
  }
}
