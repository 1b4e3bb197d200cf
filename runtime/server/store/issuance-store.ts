// What is kept of issuance: the intent before an authority is signed or published, and for each authority up to when something that it signed may be valid.
import type { Database } from './database.ts';
import type { AuthorityIntent, DownstreamCa, SignedUntil } from './records.ts';
import type { IssuanceStore } from './store.ts';

const markColumns = '(kind, authority_id, upstream_authority_id, expires_at, until, longest_ttl, settled)';
const raise = `INSERT INTO signed_until ${markColumns} VALUES ($1, $2, $3, $4, $5, $6, false)
  ON CONFLICT (kind, authority_id) DO UPDATE SET until = greatest(signed_until.until, excluded.until),
    longest_ttl = greatest(signed_until.longest_ttl, excluded.longest_ttl), settled = false
  RETURNING until`;
const settle = `INSERT INTO signed_until ${markColumns} VALUES ($1, $2, $3, $4, $5, $6, true)
  ON CONFLICT (kind, authority_id) DO UPDATE SET until = excluded.until, settled = true`;
const insertIntent = `INSERT INTO authority_intents (id, replica, kind, authority_id, issuer_id, requested_by, serial_number, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;

/** One row for each issuer and requester; an intermediate of ours hangs on the root above it. */
const downstreamCas = `
  SELECT issuer_id AS "issuerId", coalesce(signed_until.upstream_authority_id, '') AS "rootId", requested_by AS "requestedBy",
    max(authority_intents.expires_at) AS "expiresAt"
  FROM authority_intents LEFT JOIN signed_until ON signed_until.kind = 'x509' AND signed_until.authority_id = issuer_id
  WHERE authority_intents.kind = 'downstream-ca' AND authority_intents.expires_at > $1
  GROUP BY 1, 2, 3`;

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
    async recordIntent({ id, replica, kind, authorityId, issuerId, requestedBy, serialNumber = null, expiresAt }) {
      const values = [id, replica, kind, authorityId, issuerId, requestedBy, serialNumber, expiresAt];
      await database.query(insertIntent, values);
    },
    async completeIntent(id) {
      await database.query('UPDATE authority_intents SET done_at = now() WHERE id = $1', [id]);
    },
    async listIntents() {
      const rows = await database.query<IntentRow>(`
        SELECT id, replica, kind, authority_id AS "authorityId", issuer_id AS "issuerId", requested_by AS "requestedBy", serial_number AS "serialNumber",
          expires_at AS "expiresAt", done_at IS NOT NULL AS "isDone"
        FROM authority_intents ORDER BY intended_at, id`);
      return rows.map(({ serialNumber, ...row }) => (serialNumber === null ? row : { ...row, serialNumber }));
    },
    listDownstreamCas: (now) => database.query<DownstreamCa>(downstreamCas, [now]),
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
        SELECT kind, authority_id AS "authorityId", upstream_authority_id AS "upstreamAuthorityId", expires_at AS "expiresAt", until,
          longest_ttl AS "longestTtl", settled
        FROM signed_until ORDER BY kind, authority_id`),
    pruneSignedUntil: (expiredBefore) => prune('signed_until', expiredBefore),
  };
}

function valuesOf(mark: Omit<SignedUntil, 'settled'>) {
  const { kind, authorityId, upstreamAuthorityId, expiresAt, until, longestTtl } = mark;
  return [kind, authorityId, upstreamAuthorityId, expiresAt, until, longestTtl];
}
