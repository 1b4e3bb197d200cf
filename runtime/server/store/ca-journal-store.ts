// CA journals in PostgreSQL: one for each server, found again by the authority that it had active.
import type { Database } from './database.ts';
import type { CaJournalRecord } from './records.ts';
import type { CaJournalStore } from './store.ts';

const fields = `id, active_x509_authority_id AS "activeX509AuthorityId", active_jwt_authority_id AS "activeJwtAuthorityId", expires_at AS "expiresAt", data`;

const columns = '(active_x509_authority_id, active_jwt_authority_id, data, updated_at, expires_at)';
const update = `UPDATE ca_journals SET ${columns} = ($1, $2, $3, $4, $5) WHERE id = $6 RETURNING id`;
const insert = `INSERT INTO ca_journals ${columns} VALUES ($1, $2, $3, $4, $5) RETURNING id`;

export function createCaJournalStore(database: Database, clock: () => number): CaJournalStore {
  return {
    async fetchCaJournal(activeX509AuthorityId) {
      const statement = `SELECT ${fields} FROM ca_journals WHERE active_x509_authority_id = $1 ORDER BY id DESC LIMIT 1`;
      return (await database.query<CaJournalRecord>(statement, [activeX509AuthorityId]))[0];
    },
    async saveCaJournal(journal) {
      const { activeX509AuthorityId, activeJwtAuthorityId, data, expiresAt } = journal;
      const values = [activeX509AuthorityId, activeJwtAuthorityId, data, nowSeconds(clock), expiresAt];
      const updated = journal.id === 0 ? [] : await database.query<{ id: number }>(update, [...values, journal.id]);
      // Pruned meanwhile by another server whose clock is ahead: written anew.
      const [row] = updated.length > 0 ? updated : await database.query<{ id: number }>(insert, values);
      return { ...journal, id: row?.id ?? journal.id };
    },
    async pruneCaJournals(expiredBefore) {
      return (await database.query('DELETE FROM ca_journals WHERE expires_at < $1 RETURNING id', [expiredBefore]))
        .length;
    },
  };
}

function nowSeconds(clock: () => number): number {
  return Math.floor(clock() / 1000);
}
