// Updates entries many at a time: one statement in one transaction, and an outcome for each of them, as if they had come one after the other.
import type { Database, Query } from './database.ts';
import { checkBundles, lockFederatedBundles } from './federated-bundles.ts';
import { entryColumns, entryOfRow, entryRowJson } from './entry-row.ts';
import type { EntryRow } from './entry-row.ts';
import { checkEntry } from './entry-rules.ts';
import { StoreError } from './errors.ts';
import { sortSelectors } from '../../spiffe/selector.ts';
import type { EntryPatch, EntryRecord } from './records.ts';

export interface EntryUpdate {
  readonly id: string;
  readonly patch: EntryPatch;
}

export type UpdateOutcome = EntryRecord | StoreError;

/** Of one transaction, so that others need not wait long for what it holds. */
const chunkSize = 500;

// In order of id, as everybody who locks several takes them: two batches then wait for each other instead of for ever.
const lockEntries = {
  name: 'lock-entries',
  text: 'SELECT * FROM entries WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE',
};
const replaced = entryColumns.filter((column) => column !== 'id');
const replaceEntries = {
  name: 'replace-entries',
  text: `UPDATE entries SET (${replaced.join(', ')}) = (${replaced.map((column) => `given.${column}`).join(', ')})
    FROM jsonb_populate_recordset(NULL::entries, $1::jsonb) given WHERE entries.id = given.id`,
};

/** In the order of the updates. */
export async function updateAll(database: Database, updates: readonly EntryUpdate[]): Promise<UpdateOutcome[]> {
  const outcomes: UpdateOutcome[] = [];
  for (const chunk of chunksOf(updates)) outcomes.push(...(await updateSome(database, chunk)));
  return outcomes;
}

/** An entry that is named again needs what the update before made of it, so it begins another chunk. */
function chunksOf(updates: readonly EntryUpdate[]): EntryUpdate[][] {
  const chunks: EntryUpdate[][] = [];
  let ids = new Set<string>();
  for (const update of updates) {
    const last = chunks.at(-1);
    if (last === undefined || last.length === chunkSize || ids.has(update.id)) {
      chunks.push([update]);
      ids = new Set([update.id]);
    } else {
      last.push(update);
      ids.add(update.id);
    }
  }
  return chunks;
}

/** What the database refuses in one entry fails the whole statement: it is halved until that entry stands alone. */
async function updateSome(database: Database, updates: readonly EntryUpdate[]): Promise<UpdateOutcome[]> {
  try {
    return await database.transaction((query) => updateChunk(query, updates));
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'UNAVAILABLE') throw error;
    const mayBeOne = error.code === 'INVALID' || error.code === 'CONFLICT';
    if (updates.length === 1 || !mayBeOne) return updates.map(() => error);
    const middle = updates.length >> 1;
    return [
      ...(await updateSome(database, updates.slice(0, middle))),
      ...(await updateSome(database, updates.slice(middle))),
    ];
  }
}

async function updateChunk(query: Query, updates: readonly EntryUpdate[]): Promise<UpdateOutcome[]> {
  const rows = await query<EntryRow>(lockEntries, [updates.map(({ id }) => id)]);
  const current = new Map(rows.map((row) => [row.id, entryOfRow(row)]));
  const named = new Set(updates.flatMap(({ patch }) => patch.federatesWith ?? []));
  for (const { federatesWith } of current.values()) for (const name of federatesWith) named.add(name);
  const bundles = await lockFederatedBundles(query, [...named]);
  const outcomes = updates.map((update) => patched(update, current.get(update.id), bundles));
  const good = outcomes.filter((one): one is EntryRecord => !(one instanceof StoreError));
  if (good.length > 0) await query(replaceEntries, [`[${good.map((entry) => entryRowJson(entry).json).join(',')}]`]);
  return outcomes;
}

function patched(
  { id, patch }: EntryUpdate,
  current: EntryRecord | undefined,
  bundles: ReadonlySet<string>,
): UpdateOutcome {
  if (current === undefined) return new StoreError('NOT_FOUND', `no entry ${JSON.stringify(id)}`);
  const entry = { ...current, ...patch, id, revisionNumber: current.revisionNumber + 1 };
  try {
    checkEntry(entry);
    checkBundles(entry.federatesWith, bundles);
    return { ...entry, selectors: sortSelectors(entry.selectors) };
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}
