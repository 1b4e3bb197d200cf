// The fleet in PostgreSQL: the latest report of each agent and downstream server, written many at once, and the lives of authorities.
import type { Database } from './database.ts';
import type { AuthorityLife, FleetHolder, FleetReport, FleetReportRecord } from './fleet-records.ts';
import type { FleetStore } from './store.ts';

/** Of one SPIFFE ID: instances are named by whoever reports. */
const mostInstances = 64;
/** Of two reports the later one stays, in whatever order they come; an agent that is gone leaves none behind. */
const saveReports = `
  INSERT INTO fleet_reports AS held (kind, spiffe_id, instance, reported_at, report)
  SELECT kind, spiffe_id, instance, reported_at, report
  FROM jsonb_to_recordset($1::jsonb) AS given (kind text, spiffe_id text, instance text, reported_at bigint, report jsonb)
  WHERE CASE kind
    WHEN 'agent' THEN EXISTS (SELECT FROM agents WHERE agents.spiffe_id = given.spiffe_id)
    ELSE given.instance IN (SELECT instance FROM fleet_reports AS beside WHERE beside.kind = 'downstream' AND beside.spiffe_id = given.spiffe_id)
      OR (SELECT count(*) FROM fleet_reports AS beside WHERE beside.kind = 'downstream' AND beside.spiffe_id = given.spiffe_id) < ${mostInstances}
    END
  ON CONFLICT (kind, spiffe_id, instance) DO UPDATE SET reported_at = excluded.reported_at, report = excluded.report
  WHERE held.reported_at <= excluded.reported_at`;

const agents = `
  SELECT agents.seq, agents.spiffe_id AS "spiffeId", '' AS instance, coalesce(agents.agent_version, '') AS version,
    greatest(agents.x509_svid_expires_at, agents.new_x509_svid_expires_at) AS "svidExpiresAt",
    coalesce(fleet_reports.reported_at, 0) AS "reportedAt", fleet_reports.report
  FROM agents LEFT JOIN fleet_reports ON fleet_reports.kind = 'agent' AND fleet_reports.spiffe_id = agents.spiffe_id
  WHERE agents.seq > $1 AND NOT agents.banned ORDER BY agents.seq LIMIT $2`;

const downstreams = `
  SELECT seq, spiffe_id AS "spiffeId", instance, '' AS version, 0::bigint AS "svidExpiresAt", reported_at AS "reportedAt", report
  FROM fleet_reports WHERE kind = 'downstream' AND seq > $1 ORDER BY seq LIMIT $2`;

/** Silent for long, and nothing that it could still serve is valid. */
const pruneDownstreams = `
  DELETE FROM fleet_reports WHERE kind = 'downstream' AND reported_at < $1::bigint
    AND coalesce((report -> 'own' ->> 'latestNotAfter')::bigint, 0) * 1000 < $1::bigint`;

/** What a server says that has seen less of the bundle than another one changes nothing. */
const noteAuthorities = `
  INSERT INTO fleet_authorities AS held (kind, authority_id, published_at, tainted_at, revoked_at, sequence)
  SELECT kind, authority_id, $2::bigint, CASE WHEN tainted THEN $2::bigint ELSE 0 END, 0, $3::bigint
  FROM jsonb_to_recordset($1::jsonb) AS given (kind text, authority_id text, tainted boolean)
  ON CONFLICT (kind, authority_id) DO UPDATE SET
    tainted_at = CASE WHEN held.tainted_at > 0 THEN held.tainted_at ELSE excluded.tainted_at END, revoked_at = 0, sequence = excluded.sequence
  WHERE held.sequence < excluded.sequence`;
const noteRevoked = `
  UPDATE fleet_authorities SET revoked_at = $2::bigint, sequence = $3::bigint
  WHERE sequence < $3::bigint AND revoked_at = 0
    AND NOT EXISTS (
      SELECT FROM jsonb_to_recordset($1::jsonb) AS given (kind text, authority_id text)
      WHERE given.kind = fleet_authorities.kind AND given.authority_id = fleet_authorities.authority_id)`;

/**
 * What servers signed under an intermediate hangs on the root above it as well. What an authority that still signs, or did so when its server was killed, has
 * signed by now ($1) ends no later than the longest that it signed for, from now on.
 */
const listAuthorities = `
  SELECT kind, authority_id AS "authorityId", coalesce(published_at, 0) AS "publishedAt", coalesce(tainted_at, 0) AS "taintedAt",
    coalesce(revoked_at, 0) AS "revokedAt",
    coalesce((
      SELECT max(CASE WHEN settled THEN until ELSE least(until, $1::bigint + longest_ttl) END) FROM signed_until
      WHERE signed_until.kind = known.kind AND known.authority_id IN (signed_until.authority_id, upstream_authority_id)), 0) AS "signedUntil"
  FROM (SELECT kind, authority_id FROM fleet_authorities UNION SELECT kind, authority_id FROM signed_until) known
  LEFT JOIN fleet_authorities USING (kind, authority_id) ORDER BY kind, "publishedAt", authority_id`;

interface HolderRow extends Omit<FleetHolder, 'report'> {
  readonly report: FleetReport | null;
}

export function createFleetStore(database: Database): FleetStore {
  const list = async (statement: string, after: number, size: number): Promise<FleetHolder[]> => {
    const rows = await database.query<HolderRow>(statement, [after, size]);
    return rows.map(({ report, ...row }) => (report === null ? row : { ...row, report }));
  };
  return {
    async saveFleetReports(reports) {
      await database.query(saveReports, [JSON.stringify(reports.map(rowOf))]);
    },
    listFleetAgents: (after, size) => list(agents, after, size),
    listFleetDownstreams: (after, size) => list(downstreams, after, size),
    async noteAuthorities(held, sequence, now) {
      const given = JSON.stringify(
        held.map(({ kind, authorityId, tainted }) => ({ kind, authority_id: authorityId, tainted })),
      );
      await database.transaction(async (query) => {
        await query(noteAuthorities, [given, now, sequence]);
        await query(noteRevoked, [given, now, sequence]);
      });
    },
    listAuthorityLives: (now) => database.query<AuthorityLife>(listAuthorities, [now]),
    async pruneFleet(before) {
      await database.query(pruneDownstreams, [before]);
      await database.query('DELETE FROM fleet_authorities WHERE revoked_at > 0 AND revoked_at < $1', [before]);
    },
  };
}

function rowOf({ spiffeId, reportedAt, ...rest }: FleetReportRecord) {
  return { ...rest, spiffe_id: spiffeId, reported_at: reportedAt };
}
