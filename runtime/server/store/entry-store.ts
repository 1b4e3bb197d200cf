// Registration entries in PostgreSQL.
import { randomUUID } from 'node:crypto';
import { Conditions, cutPage, sliceOf } from './conditions.ts';
import type { Database, NamedStatement } from './database.ts';
import { insertAll } from './entry-insert.ts';
import { entryOfRow } from './entry-row.ts';
import type { EntryRow } from './entry-row.ts';
import { updateAll } from './entry-update.ts';
import { StoreError } from './errors.ts';
import type { EntryDraft, EntryFilter, EntryRecord } from './records.ts';
import { encodeSelectors } from './selector-text.ts';
import { sortSelectors } from '../../spiffe/selector.ts';
import type { EntryStore } from './store.ts';

const selectOne = { name: 'fetch-entry', text: 'SELECT * FROM entries WHERE id = $1' };
const selectSome = { name: 'fetch-entries', text: 'SELECT * FROM entries WHERE id = ANY($1::text[])' };
// Locked in order of id, as updates do: two batches then wait for each other instead of for ever.
const deleteSome = {
  name: 'delete-entries',
  text: `DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE) RETURNING *`,
};

export function createEntryStore(database: Database, clock: () => number): EntryStore {
  const all = async (statement: NamedStatement, value: unknown): Promise<EntryRecord[]> =>
    (await database.query<EntryRow>(statement, [value])).map(entryOfRow);
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
    async updateEntry(id, patch) {
      const [outcome] = await updateAll(database, [{ id, patch }]);
      if (outcome === undefined || outcome instanceof StoreError) throw outcome ?? new Error('no outcome');
      return outcome;
    },
    updateEntries: (updates) => updateAll(database, updates),
    deleteEntry: async (id) => (await all(deleteSome, [id]))[0],
    deleteEntries: (ids) => all(deleteSome, ids),
    fetchEntry: async (id) => (await all(selectOne, id))[0],
    fetchEntries: (ids) => all(selectSome, ids),
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
    selectors: sortSelectors(given.selectors),
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
