// Reads a whole table in pieces: as one answer, a hundred thousand rows would be in memory three times over before the first is used.
import type { Database } from './database.ts';

const pageSize = 500;

/** In order of creation. Each piece is a snapshot of its own. */
export async function* allRows<T>(
  database: Database,
  table: 'entries' | 'agents',
  recordOf: (row: never) => T,
): AsyncGenerator<T[], void, undefined> {
  const statement = {
    name: `all-${table}`,
    text: `SELECT * FROM ${table} WHERE seq > $1 ORDER BY seq LIMIT ${pageSize}`,
  };
  let after = 0;
  for (;;) {
    const rows = await database.query<{ readonly seq: number }>(statement, [after]);
    yield rows.map((row) => recordOf(row as never));
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageSize) return;
    after = last.seq;
  }
}
