// Registration entries in PostgreSQL.
import { randomUUID } from 'node:crypto';
import { Conditions, cutPage, sliceOf } from './conditions.ts';
import type { Database } from './database.ts';
import { checkBundles, insertAll, lockFederatedBundles } from './entry-insert.ts';
import { entryColumns, entryOfRow, entryValues } from './entry-row.ts';
import type { EntryRow } from './entry-row.ts';
import { checkEntry } from './entry-rules.ts';
import { StoreError } from './errors.ts';
import type { EntryDraft, EntryFilter, EntryRecord } from './records.ts';
import { encodeSelectors } from './selector-text.ts';
import type { EntryStore } from './store.ts';

const parameters = entryColumns.map((_, i) => `$${i + 1}`).join(', ');
const replaceEntry = `UPDATE entries SET (${entryColumns.join(', ')}) = (${parameters}) WHERE id = $1 RETURNING *`;

export function createEntryStore(database: Database, clock: () => number): EntryStore {
  const select = async (tail: string, values: readonly unknown[]): Promise<EntryRecord[]> =>
    (await database.query<EntryRow>(`SELECT * FROM entries ${tail}`, values)).map(entryOfRow);
  const createEntries = (drafts: readonly EntryDraft[]) => {
    const now = Math.floor(clock() / 1000);
    return insertAll(
      database,
      drafts.map((draft) => completeDraft(draft, now)),
    );
  };

  return {
    async createEntry(draft) {
      const [outcome] = await createEntries([draft]);
      if (outcome === undefined || outcome instanceof StoreError) throw outcome ?? new Error('no outcome');
      return outcome;
    },
    createEntries,
    updateEntry(id, patch) {
      return database.transaction(async (query) => {
        const [row] = await query<EntryRow>('SELECT * FROM entries WHERE id = $1 FOR UPDATE', [id]);
        if (row === undefined) throw new StoreError('NOT_FOUND', `no entry ${JSON.stringify(id)}`);
        const current = entryOfRow(row);
        const entry = { ...current, ...patch, id, revisionNumber: current.revisionNumber + 1 };
        checkEntry(entry);
        checkBundles(entry.federatesWith, await lockFederatedBundles(query, entry.federatesWith));
        const [updated] = await query<EntryRow>(replaceEntry, entryValues(entry));
        return entryOfRow(updated ?? row);
      });
    },
    async deleteEntry(id) {
      const [row] = await database.query<EntryRow>('DELETE FROM entries WHERE id = $1 RETURNING *', [id]);
      return row === undefined ? undefined : entryOfRow(row);
    },
    fetchEntry: async (id) => (await select('WHERE id = $1', [id]))[0],
    fetchEntries: (ids) => select('WHERE id = ANY($1::text[])', [ids]),
    async listEntries(filter, page) {
      const conditions = conditionsOf(filter);
      const slice = sliceOf(page, conditions);
      const found = await database.query<EntryRow>(
        `SELECT * FROM entries${conditions.where()}${slice.tail}`,
        conditions.values,
      );
      const { rows, nextPageToken } = cutPage(found, slice);
      return { entries: rows.map(entryOfRow), nextPageToken };
    },
    async countEntries(filter) {
      const conditions = conditionsOf(filter);
      const statement = `SELECT count(*) AS count FROM entries${conditions.where()}`;
      const [row] = await database.query<{ count: number }>(statement, conditions.values);
      return row?.count ?? 0;
    },
    async pruneEntries(expiredBefore) {
      const statement = 'DELETE FROM entries WHERE expires_at > 0 AND expires_at < $1 RETURNING id';
      return (await database.query<{ id: string }>(statement, [expiredBefore])).map(({ id }) => id);
    },
  };
}

function completeDraft(draft: EntryDraft, createdAt: number): EntryRecord {
  const { id = '', ...given } = draft;
  return {
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    expiresAt: 0,
    dnsNames: [],
    hint: '',
    ...given,
    id: id === '' ? randomUUID() : id,
    createdAt,
    revisionNumber: 0,
  };
}

function conditionsOf(filter: EntryFilter): Conditions {
  const conditions = new Conditions()
    .add('spiffe_id = ?', filter.bySpiffeId)
    .add('parent_id = ?', filter.byParentId)
    .add('hint = ?', filter.byHint)
    .add('downstream = ?', filter.byDownstream);
  const { bySelectors, byFederatesWith } = filter;
  if (bySelectors !== undefined) {
    conditions.addSetMatch('selectors', bySelectors.match, encodeSelectors(bySelectors.selectors));
  }
  if (byFederatesWith !== undefined) {
    conditions.addSetMatch('federates_with', byFederatesWith.match, byFederatesWith.trustDomains);
  }
  return conditions;
}
