// What is kept of issuance: the intent before an authority is signed or published, and for each authority up to when something that it signed may be valid.
import type { Database } from './database.ts';
import type { AuthorityIntent, SignedUntil } from './records.ts';
import type { IssuanceStore } from './store.ts';

const markColumns = '(kind, authority_id, upstream_authority_id, expires_at, until, settled)';
const raise = `INSERT INTO signed_until ${markColumns} VALUES ($1, $2, $3, $4, $5, false)
  ON CONFLICT (kind, authority_id) DO UPDATE SET until = greatest(signed_until.until, excluded.until), settled = false RETURNING until`;
const settle = `INSERT INTO signed_until ${markColumns} VALUES ($1, $2, $3, $4, $5, true)
  ON CONFLICT (kind, authority_id) DO UPDATE SET until = excluded.until, settled = true`;
const insertIntent = `INSERT INTO authority_intents (id, replica, kind, authority_id, issuer_id, serial_number, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7)`;

interface IntentRow extends Omit<AuthorityIntent, 'serialNumber'> {
  readonly serialNumber: string | null;
  readonly isDone: boolean;
}

export function createIssuanceStore(database: Database): IssuanceStore {
  const prune = async (table: 'authority_intents' | 'signed_until', expiredBefore: number): Promise<number> => {
    const statement = `DELETE FROM ${table} WHERE expires_at < $1 RETURNING authority_id`;
    return (await database.query(statement, [expiredBefore])).length;
  };
  return {
    async recordIntent({ id, replica, kind, authorityId, issuerId, serialNumber = null, expiresAt }) {
      await database.query(insertIntent, [id, replica, kind, authorityId, issuerId, serialNumber, expiresAt]);
    },
    async completeIntent(id) {
      await database.query('UPDATE authority_intents SET done_at = now() WHERE id = $1', [id]);
    },
    async listIntents() {
      const rows = await database.query<IntentRow>(`
        SELECT id, replica, kind, authority_id AS "authorityId", issuer_id AS "issuerId", serial_number AS "serialNumber",
          expires_at AS "expiresAt", done_at IS NOT NULL AS "isDone"
        FROM authority_intents ORDER BY intended_at, id`);
      return rows.map(({ serialNumber, ...row }) => (serialNumber === null ? row : { ...row, serialNumber }));
    },
    pruneIntents: (expiredBefore) => prune('authority_intents', expiredBefore),
    async raiseSignedUntil(mark) {
      const [row] = await database.query<{ until: number }>(raise, valuesOf(mark));
      return row?.until ?? mark.until;
    },
    async settleSignedUntil(mark) {
      await database.query(settle, valuesOf(mark));
    },
    listSignedUntil: () =>
      database.query<SignedUntil>(`
        SELECT kind, authority_id AS "authorityId", upstream_authority_id AS "upstreamAuthorityId", expires_at AS "expiresAt", until, settled
        FROM signed_until ORDER BY kind, authority_id`),
    pruneSignedUntil: (expiredBefore) => prune('signed_until', expiredBefore),
  };
}

function valuesOf({ kind, authorityId, upstreamAuthorityId, expiresAt, until }: Omit<SignedUntil, 'settled'>) {
  return [kind, authorityId, upstreamAuthorityId, expiresAt, until];
}
