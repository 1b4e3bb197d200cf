// Creates entries many at a time: one statement in one transaction, and an outcome for each of them.
import type { Database, Query } from './database.ts';
import { entryColumns, entryOfRow, entryValues } from './entry-row.ts';
import type { EntryRow } from './entry-row.ts';
import { checkEntry, similarityOf } from './entry-rules.ts';
import { StoreError } from './errors.ts';
import type { EntryRecord } from './records.ts';
import type { CreatedEntry } from './store.ts';

export type EntryOutcome = CreatedEntry | StoreError;

/** Of one transaction, so that others need not wait long for what it holds. */
const chunkSize = 500;

const columns = entryColumns.join(', ');
// One parameter for all rows: that costs less than seventeen for each.
const insertEntries = `INSERT INTO entries (${columns})
  SELECT ${columns} FROM jsonb_populate_recordset(NULL::entries, $1::jsonb) WITH ORDINALITY ORDER BY ordinality
  ON CONFLICT DO NOTHING RETURNING *`;

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

async function insertChunk(query: Query, entries: readonly EntryRecord[]): Promise<EntryOutcome[]> {
  const bundles = await lockFederatedBundles(query, [
    ...new Set(entries.flatMap(({ federatesWith }) => federatesWith)),
  ]);
  const checked = entries.map((entry) => checkedOf(entry, bundles));
  const good = checked.filter((one): one is Checked => !(one instanceof StoreError));
  const created = bySimilarity(await query<EntryRow>(insertEntries, [JSON.stringify(good.map(rowOf))]));
  const others = good.filter(({ entry, key }) => created.get(key)?.id !== entry.id).map(({ key }) => `\\x${key}`);
  const similar =
    others.length === 0
      ? new Map<string, EntryRecord>()
      : bySimilarity(await query<EntryRow>('SELECT * FROM entries WHERE similarity = ANY($1::bytea[])', [others]));
  const told = new Set<string>();
  return checked.map((one) => {
    if (one instanceof StoreError) return one;
    const made = created.get(one.key);
    // The first of its kind was created; those after it in the same batch found it there.
    if (made?.id === one.entry.id && !told.has(one.key)) {
      told.add(one.key);
      return { entry: made, existing: false };
    }
    const found = similar.get(one.key) ?? made;
    // Another entry has its id, or a similar one was deleted between the two statements: the caller may try again.
    return found === undefined
      ? new StoreError('CONFLICT', 'a record with this key exists')
      : { entry: found, existing: true };
  });
}

interface Checked {
  readonly entry: EntryRecord;
  /** Its similarity in hex. */
  readonly key: string;
}

function checkedOf(entry: EntryRecord, bundles: ReadonlySet<string>): Checked | StoreError {
  try {
    checkEntry(entry);
    checkBundles(entry.federatesWith, bundles);
    return { entry, key: similarityOf(entry).toString('hex') };
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

function rowOf({ entry, key }: Checked): Record<string, unknown> {
  const values = entryValues(entry);
  return {
    ...Object.fromEntries(entryColumns.map((column, index) => [column, values[index]])),
    additional_attributes: entry.additionalAttributes ?? null,
    similarity: `\\x${key}`,
  };
}

function bySimilarity(rows: readonly EntryRow[]): Map<string, EntryRecord> {
  return new Map(rows.map((row) => [row.similarity.toString('hex'), entryOfRow(row)]));
}

/** Those of the bundles that are there; they stay until this transaction ends: deleting one waits for it. */
export async function lockFederatedBundles(query: Query, trustDomains: readonly string[]): Promise<Set<string>> {
  if (trustDomains.length === 0) return new Set();
  const statement = 'SELECT trust_domain FROM bundles WHERE trust_domain = ANY($1::text[]) ORDER BY 1 FOR KEY SHARE';
  return new Set((await query<{ trust_domain: string }>(statement, [trustDomains])).map((row) => row.trust_domain));
}

export function checkBundles(trustDomains: readonly string[], present: ReadonlySet<string>): void {
  const missing = trustDomains.find((name) => !present.has(name));
  if (missing === undefined) return;
  throw new StoreError('UNKNOWN_FEDERATED_BUNDLE', `unable to find federated bundle ${JSON.stringify(missing)}`);
}
