// What the embedded PostgreSQL holds: databases and roles beyond its own, who is connected, and what each SPIRE server keeps.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

/** The address of the PostgreSQL that `up` runs for a state directory. */
export function adminUrlOf(state: string): string {
  const { postgres } = JSON.parse(readFileSync(join(state, 'ports.json'), 'utf8')) as { postgres: number };
  return `postgres://postgres:${readFileSync(join(state, 'postgres-password'), 'utf8')}@127.0.0.1:${postgres}/postgres`;
}

/** `database …` and `role …`, sorted. */
export function listDatabases(adminUrl: string): Promise<string[]> {
  return withClient(adminUrl, async (client) => {
    const { rows } = await client.query<{ line: string }>(`
      SELECT 'database ' || datname AS line FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'
      UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname <> 'postgres' AND NOT starts_with(rolname, 'pg_')`);
    return rows.map(({ line }) => line).sort();
  });
}

export interface Sessions {
  readonly database: string;
  /** Sessions whose other end is no process any more: their transactions hold locks. */
  readonly count: number;
}

/** Sessions but our own, by database. */
export function countSessions(adminUrl: string): Promise<Sessions[]> {
  return withClient(adminUrl, async (client) => {
    const { rows } = await client.query<Sessions>(`
      SELECT datname AS database, count(*)::int AS count FROM pg_stat_activity
      WHERE datname IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'
      GROUP BY datname ORDER BY datname`);
    return rows;
  });
}

/** The agents and entries of one SPIRE server, each as a line that says what kind it is; one line for each of them. */
export function listRecords(adminUrl: string, database: string): Promise<string[]> {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return withClient(url.href, async (client) => {
    const { rows } = await client.query<{ line: string }>(`
      SELECT 'agent ' || attestation_type AS line FROM agents
      UNION ALL SELECT 'entry by ' || CASE
        WHEN parent_id LIKE '%/spire/server' THEN 'server'
        WHEN parent_id LIKE '%/spire/agent/%' THEN split_part(parent_id, '/', 6)
        ELSE 'node' END FROM entries
      UNION ALL SELECT 'authorities of ' || count(*) || ' trust domain' FROM bundles`);
    return rows.map(({ line }) => line).sort();
  });
}

async function withClient<T>(connectionString: string, act: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
}
