// The servers on this database, each with a row that it keeps fresh. Who is alive is judged by the database's clock alone.
import type { Database } from './database.ts';
import type { ReplicaRecord, ReplicaReport } from './records.ts';
import { replicaLifeSeconds } from './store.ts';
import type { ReplicaStore } from './store.ts';

const seconds = (column: string): string => `floor(extract(epoch FROM ${column}))::bigint`;

const list = `
  SELECT id, version, applied_sequence AS "appliedSequence", authorities,
    ${seconds('started_at')} AS "startedAt", ${seconds('heartbeat_at')} AS "heartbeatAt", ${seconds('applied_at')} AS "appliedAt",
    heartbeat_at > now() - make_interval(secs => ${replicaLifeSeconds}) AS "isLive"
  FROM server_replicas ORDER BY started_at, id`;

const report = `
  INSERT INTO server_replicas (id, version, applied_sequence, authorities, authority_ids) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (id) DO UPDATE SET
    heartbeat_at = now(), applied_sequence = excluded.applied_sequence, authorities = excluded.authorities, authority_ids = excluded.authority_ids,
    applied_at = CASE WHEN server_replicas.applied_sequence = excluded.applied_sequence THEN server_replicas.applied_at ELSE now() END
  RETURNING xmax = 0 AS "isNew"`;

/** Keys are in one process only: whoever held them before was an earlier run, killed without a word. */
const replaceEarlierRuns = 'DELETE FROM server_replicas WHERE id <> $1 AND authority_ids && $2::text[]';

export function createReplicaStore(database: Database): ReplicaStore {
  return {
    async reportReplica(replica) {
      const ids = authorityIdsOf(replica);
      const values = [replica.id, replica.version, replica.appliedSequence, JSON.stringify(replica.authorities), ids];
      const [row] = await database.query<{ isNew: boolean }>(report, values);
      if (row?.isNew === true) await database.query(replaceEarlierRuns, [replica.id, ids]);
    },
    listReplicas: () => database.query<ReplicaRecord>(list),
    async withdrawReplica(id) {
      await database.query('DELETE FROM server_replicas WHERE id = $1', [id]);
    },
    async pruneReplicas() {
      const statement = `DELETE FROM server_replicas WHERE heartbeat_at < now() - interval '1 day' RETURNING id`;
      return (await database.query(statement)).length;
    },
  };
}

function authorityIdsOf({ authorities }: ReplicaReport): string[] {
  return [authorities.x509, authorities.jwt].flatMap(({ active, prepared, old }) =>
    [active, prepared, old].flatMap((held) => (held === undefined ? [] : [held.authorityId])),
  );
}
