// Attested agents in PostgreSQL. A ban outlives everything but the agent's deletion.
import { agentColumns, agentOfRow, agentValues } from './agent-row.ts';
import type { AgentRow } from './agent-row.ts';
import { Conditions, cutPage, sliceOf } from './conditions.ts';
import type { Database, NamedStatement } from './database.ts';
import { StoreError } from './errors.ts';
import type { AgentFilter, AgentRecord } from './records.ts';
import { encodeSelectors } from './selector-text.ts';
import type { AgentStore } from './store.ts';

// Asked for with each call of an agent.
const selectOne: NamedStatement = {
  name: 'fetch-agent',
  text: 'SELECT * FROM agents WHERE spiffe_id = $1',
  isUrgent: true,
};
const selectSome = { name: 'fetch-agents', text: 'SELECT * FROM agents WHERE spiffe_id = ANY($1::text[])' };
const columns = agentColumns.join(', ');
const parameters = agentColumns.map((_, i) => `$${i + 1}`).join(', ');
const insertAgent = `INSERT INTO agents (${columns}) VALUES (${parameters}) ON CONFLICT (spiffe_id) DO`;
const insertNewAgent = `${insertAgent} NOTHING RETURNING *`;
const saveKnownAgent = `${insertAgent} UPDATE SET (${columns}) = (${parameters}) WHERE NOT agents.banned RETURNING *`;
/** For the key that the evidence was spent for. */
const repeatAgent = `UPDATE agents SET (${columns}) = (${parameters})
  WHERE spiffe_id = $1 AND NOT banned AND attested_key = $${agentColumns.indexOf('attested_key') + 1} RETURNING *`;
const replaceAgent = `UPDATE agents SET (${columns}) = (${parameters}) WHERE spiffe_id = $1 RETURNING *`;
const promoteSvid = `UPDATE agents SET
  x509_svid_serial_number = new_x509_svid_serial_number, x509_svid_expires_at = new_x509_svid_expires_at,
  new_x509_svid_serial_number = '', new_x509_svid_expires_at = 0, attested_key = NULL
  WHERE spiffe_id = $1 AND new_x509_svid_serial_number = $2 AND new_x509_svid_serial_number <> '' AND NOT banned RETURNING *`;
// An empty serial number is how SPIRE writes a ban.
const banAgent = `UPDATE agents SET banned = true,
  x509_svid_serial_number = '', new_x509_svid_serial_number = '', new_x509_svid_expires_at = 0
  WHERE spiffe_id = $1 RETURNING *`;

/** Oldest first; without a limit, all. */
const pruneExpired = `DELETE FROM agents WHERE spiffe_id IN (
  SELECT spiffe_id FROM agents WHERE x509_svid_expires_at < $1 AND NOT banned AND (can_reattest OR $2)
  ORDER BY x509_svid_expires_at LIMIT $3) RETURNING spiffe_id`;

export function createAgentStore(database: Database): AgentStore {
  const one = async (
    statement: string | NamedStatement,
    values: readonly unknown[],
  ): Promise<AgentRecord | undefined> => {
    const [row] = await database.query<AgentRow>(statement, values);
    return row === undefined ? undefined : agentOfRow(row);
  };
  const fetchAgent = (spiffeId: string) => one(selectOne, [spiffeId]);
  /** Token and agent change together: a server that dies between them would leave a node without either. */
  const saveForToken = (agent: AgentRecord, joinToken: string): Promise<AgentRecord | undefined> =>
    database.transaction(async (query) => {
      const taken = await query('DELETE FROM join_tokens WHERE token = $1 RETURNING token', [joinToken]);
      if (taken.length === 0) return undefined;
      const [row] = await query<AgentRow>(saveKnownAgent, agentValues(agent));
      return row === undefined ? undefined : agentOfRow(row);
    });

  return {
    fetchAgent,
    fetchAgents: async (spiffeIds) => (await database.query<AgentRow>(selectSome, [spiffeIds])).map(agentOfRow),
    async saveAgent(agent, { onlyNew = false, joinToken, again = false } = {}) {
      const first =
        joinToken === undefined
          ? await one(onlyNew ? insertNewAgent : saveKnownAgent, agentValues(agent))
          : await saveForToken(agent, joinToken);
      const saved = first ?? (again ? await one(repeatAgent, agentValues(agent)) : undefined);
      if (saved !== undefined) return saved;
      if (onlyNew && (await fetchAgent(agent.spiffeId))?.banned !== true) {
        throw new StoreError('CONFLICT', `agent ${agent.spiffeId} has attested before`);
      }
      throw new StoreError('AGENT_BANNED', `agent ${agent.spiffeId} is banned`);
    },
    async listAgents(filter, page) {
      const conditions = conditionsOf(filter);
      const slice = sliceOf(page, conditions);
      const statement = `SELECT * FROM agents${conditions.where()}${slice.tail}`;
      const { rows, nextPageToken } = cutPage(await database.query<AgentRow>(statement, conditions.values), slice);
      return { agents: rows.map(agentOfRow), nextPageToken };
    },
    async countAgents(filter) {
      const conditions = conditionsOf(filter);
      const statement = `SELECT count(*) AS count FROM agents${conditions.where()}`;
      const [row] = await database.query<{ count: number }>(statement, conditions.values);
      return row?.count ?? 0;
    },
    updateAgent(spiffeId, patch) {
      return database.transaction(async (query) => {
        const [row] = await query<AgentRow>('SELECT * FROM agents WHERE spiffe_id = $1 FOR UPDATE', [spiffeId]);
        if (row === undefined) throw unknownAgent(spiffeId);
        const current = agentOfRow(row);
        const changed = { ...current, ...patch, spiffeId, banned: current.banned };
        const [updated] = await query<AgentRow>(replaceAgent, agentValues(changed));
        return agentOfRow(updated ?? row);
      });
    },
    promoteAgentSvid: (spiffeId, newSerial) => one(promoteSvid, [spiffeId, newSerial]),
    async banAgent(spiffeId) {
      const banned = await one(banAgent, [spiffeId]);
      if (banned === undefined) throw unknownAgent(spiffeId);
      return banned;
    },
    deleteAgent: (spiffeId) => one('DELETE FROM agents WHERE spiffe_id = $1 RETURNING *', [spiffeId]),
    async pruneAgents(expiredBefore, { includeNonReattestable = false, limit } = {}) {
      const rows = await database.query<{ spiffe_id: string }>(pruneExpired, [
        expiredBefore,
        includeNonReattestable,
        limit ?? null,
      ]);
      return rows.map((row) => row.spiffe_id);
    },
  };
}

function unknownAgent(spiffeId: string): StoreError {
  return new StoreError('NOT_FOUND', `no agent ${JSON.stringify(spiffeId)}`);
}

function conditionsOf(filter: AgentFilter): Conditions {
  const conditions = new Conditions()
    .add('attestation_type = ?', filter.byAttestationType)
    .add('banned = ?', filter.byBanned)
    .add('can_reattest = ?', filter.byCanReattest)
    .add('x509_svid_expires_at < ?', filter.byExpiresBefore);
  const { bySelectors } = filter;
  if (bySelectors === undefined) return conditions;
  return conditions.addSetMatch('selectors', bySelectors.match, encodeSelectors(bySelectors.selectors));
}
