// Creates entries many at a time: one statement in one transaction, and an outcome for each of them.
import type { Database, Query } from './database.ts';
import { entryColumns, entryOfRow, entryRowJson } from './entry-row.ts';
import type { EntryRow } from './entry-row.ts';
import { checkEntry } from './entry-rules.ts';
import { StoreError } from './errors.ts';
import { checkBundles, lockFederatedBundles } from './federated-bundles.ts';
import type { EntryRecord } from './records.ts';
import type { CreatedEntry } from './store.ts';

export type EntryOutcome = CreatedEntry | StoreError;

/** Of one transaction, so that others need not wait long for what it holds. */
const chunkSize = 500;

const columns = entryColumns.join(', ');
// One parameter for all rows: that costs less than seventeen for each. What was written is known here, so only what tells who was written comes back.
const insertEntries = {
  name: 'insert-entries',
  text: `INSERT INTO entries (${columns})
    SELECT ${columns} FROM jsonb_populate_recordset(NULL::entries, $1::jsonb) WITH ORDINALITY ORDER BY ordinality
    ON CONFLICT DO NOTHING RETURNING id, similarity`,
};

/** In the order of the entries. */
export async function insertAll(database: Database, entries: readonly EntryRecord[]): Promise<EntryOutcome[]> {
  const outcomes: EntryOutcome[] = [];
  for (let start = 0; start < entries.length; start += chunkSize) {
    outcomes.push(...(await insertSome(database, entries.slice(start, start + chunkSize))));
  }
  return outcomes;
}

/** A text that the database cannot hold fails the whole statement: it is halved until that entry stands alone. */
async function insertSome(database: Database, entries: readonly EntryRecord[]): Promise<EntryOutcome[]> {
  try {
    // One statement is a transaction of its own, and a single entry cannot meet another halfway.
    const isSingle = entries.length === 1 && entries[0]?.federatesWith.length === 0;
    if (isSingle) return await insertChunk(database.query, entries);
    return await database.transaction((query) => insertChunk(query, entries));
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'UNAVAILABLE') throw error;
    if (entries.length === 1 || error.code !== 'INVALID') return entries.map(() => error);
    const middle = entries.length >> 1;
    return [
      ...(await insertSome(database, entries.slice(0, middle))),
      ...(await insertSome(database, entries.slice(middle))),
    ];
  }
}

/** Within a transaction of the caller's. */
export async function insertChunk(query: Query, entries: readonly EntryRecord[]): Promise<EntryOutcome[]> {
  const bundles = await lockFederatedBundles(query, [
    ...new Set(entries.flatMap(({ federatesWith }) => federatesWith)),
  ]);
  const checked = entries.map((entry) => checkedOf(entry, bundles));
  const good = checked.filter((one): one is Checked => !(one instanceof StoreError));
  const rows = `[${good.map(({ row }) => row).join(',')}]`;
  const written = await query<Pick<EntryRow, 'id' | 'similarity'>>(insertEntries, [rows]);
  const created = new Map(written.map(({ id, similarity }) => [similarity.toString('hex'), id]));
  const similar = await findSimilar(query, good, created);
  return checked.map((one) => {
    if (one instanceof StoreError) return one;
    const { entry, key } = one;
    // The first of its kind was created; those after it in the same batch found it there.
    if (created.get(key) === entry.id) {
      created.delete(key);
      similar.set(key, entry);
      return { entry, existing: false };
    }
    const found = similar.get(key);
    // Another entry has its id, or a similar one was deleted between the two statements: the caller may try again.
    return found === undefined
      ? new StoreError('CONFLICT', 'a record with this key exists')
      : { entry: found, existing: true };
  });
}

/** For those that were not written: the entries that stood in their way, by similarity in hex. */
async function findSimilar(
  query: Query,
  entries: readonly Checked[],
  created: ReadonlyMap<string, string>,
): Promise<Map<string, EntryRecord>> {
  const others = entries.filter(({ entry, key }) => created.get(key) !== entry.id).map(({ key }) => `\\x${key}`);
  if (others.length === 0) return new Map();
  const rows = await query<EntryRow>('SELECT * FROM entries WHERE similarity = ANY($1::bytea[])', [others]);
  return new Map(rows.map((row) => [row.similarity.toString('hex'), entryOfRow(row)]));
}

interface Checked {
  readonly entry: EntryRecord;
  /** Its similarity in hex. */
  readonly key: string;
  /** Its row as JSON. */
  readonly row: string;
}

function checkedOf(entry: EntryRecord, bundles: ReadonlySet<string>): Checked | StoreError {
  try {
    checkEntry(entry);
    checkBundles(entry.federatesWith, bundles);
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  const row = entryRowJson(entry);
  return { entry, key: row.similarity, row: row.json };
}
