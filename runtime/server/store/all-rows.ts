// Reads a whole table in pieces: as one answer, a hundred thousand rows would be in memory three times over before the first is used.
import type { Database } from './database.ts';

/** A table of records that others follow: `Row` is known to who describes it, and to nobody else. */
export interface Table<T> {
  readonly name: 'entries' | 'agents';
  /** Of its changes. */
  readonly kind: 'entry' | 'agent';
  readonly recordOf: (row: never) => T;
  readonly keyOf: (record: T) => string;
  readonly fetch: (keys: readonly string[]) => Promise<T[]>;
}

const pageSize = 500;

/** In order of creation. Each piece is a snapshot of its own. */
export async function* allRows<T>(
  database: Database,
  { name, recordOf }: Pick<Table<T>, 'name' | 'recordOf'>,
): AsyncGenerator<T[], void, undefined> {
  const text = `SELECT * FROM ${name} WHERE seq > $1 ORDER BY seq LIMIT ${pageSize}`;
  let after = 0;
  for (;;) {
    const rows = await database.query<{ readonly seq: number }>({ name: `all-${name}`, text }, [after]);
    yield rows.map((row) => recordOf(row as never));
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = last.seq;
  }
}
