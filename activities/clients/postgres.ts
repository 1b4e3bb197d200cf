// Databases for server pools: one database and one role each, on the PostgreSQL that the worker administers. The generated password goes
// to the caller's `keep` and nowhere else.
import { randomBytes } from 'node:crypto';
import type { Client as PgClient } from 'pg';
import { digest } from '../cloud.ts';
import { failure } from '../failures.ts';

export interface Datastore {
  /** Does nothing when `isKept` says that the address is in its place and the database exists. */
  ensureDatabase(input: {
    trustDomain: string;
    pool: string;
    isKept: () => Promise<boolean>;
    keep: (url: string) => Promise<void>;
  }): Promise<void>;
  removeDatabase(input: { trustDomain: string; pool: string }): Promise<void>;
  /** Ends the connections of the pool's servers and lets none in; content where that is so. */
  closeDatabase(input: { trustDomain: string; pool: string }): Promise<void>;
  openDatabase(input: { trustDomain: string; pool: string }): Promise<void>;
  /** Names of the databases of a trust domain that exist. */
  listDatabases(trustDomain: string): Promise<string[]>;
  /** Names of the pools of which a database or a role exists: they have no underscores of their own. */
  listPools(trustDomain: string): Promise<string[]>;
}

export function createDatastore(adminUrl: string): Datastore {
  const prefixOf = (trustDomain: string) => `espalier_${digest(trustDomain).slice(0, 8)}_`;
  /** Letters, digits and underscores only, so it needs no quoting anywhere. */
  const nameOf = (trustDomain: string, pool: string) => `${prefixOf(trustDomain)}${pool.replaceAll('-', '_')}`;

  return {
    ensureDatabase({ trustDomain, pool, isKept, keep }) {
      const name = nameOf(trustDomain, pool);
      return withAdmin(adminUrl, async (admin) => {
        const exists = (await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])).rowCount === 1;
        if (exists && (await isKept())) return;
        const password = randomBytes(24).toString('hex');
        const roles = await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
        // Neither statement takes parameters; the name and the password are of our own making.
        await admin.query(`${roles.rowCount === 1 ? 'ALTER' : 'CREATE'} ROLE ${name} LOGIN PASSWORD '${password}'`);
        // Who is no superuser gives only what is his own, and takes it away again only as one of them.
        await admin.query(`GRANT ${name} TO CURRENT_USER`);
        if (!exists) await admin.query(`CREATE DATABASE ${name} OWNER ${name}`);
        // Other pools' roles have nothing to look for here.
        await admin.query(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);
        const url = new URL(adminUrl);
        url.username = name;
        url.password = password;
        url.pathname = `/${name}`;
        await keep(url.href);
      });
    },

    removeDatabase({ trustDomain, pool }) {
      const name = nameOf(trustDomain, pool);
      return withAdmin(adminUrl, async (admin) => {
        await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
        await admin.query(`DROP ROLE IF EXISTS ${name}`);
      });
    },

    closeDatabase({ trustDomain, pool }) {
      const name = nameOf(trustDomain, pool);
      return withAdmin(adminUrl, async (admin) => {
        await admin.query(`ALTER ROLE ${name} NOLOGIN`);
        await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [name]);
      });
    },

    openDatabase({ trustDomain, pool }) {
      return withAdmin(adminUrl, async (admin) => {
        await admin.query(`ALTER ROLE ${nameOf(trustDomain, pool)} LOGIN`);
      });
    },

    listDatabases(trustDomain) {
      return listNames(trustDomain, 'SELECT datname AS name FROM pg_database WHERE starts_with(datname, $1)');
    },
    async listPools(trustDomain) {
      // A role may be left where its database went.
      const names = await listNames(
        trustDomain,
        `SELECT datname AS name FROM pg_database WHERE starts_with(datname, $1)
         UNION SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)`,
      );
      return names.map((name) => name.slice(prefixOf(trustDomain).length).replaceAll('_', '-')).toSorted();
    },
  };

  function listNames(trustDomain: string, statement: string): Promise<string[]> {
    return withAdmin(adminUrl, async (admin) => {
      const found = await admin.query<{ name: string }>(statement, [prefixOf(trustDomain)]);
      return found.rows.map(({ name }) => name);
    });
  }
}

/** A connection for one act; its errors carry the statement, which may hold a password, so only the message goes on. */
async function withAdmin<T>(adminUrl: string, act: (admin: PgClient) => Promise<T>): Promise<T> {
  const { default: pg } = await import('pg');
  const admin = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  try {
    await admin.connect();
    return await act(admin);
  } catch (cause) {
    throw failure('Unavailable', `database server: ${cause instanceof Error ? cause.message : String(cause)}`);
  } finally {
    await admin.end().catch(() => undefined); // the act's own outcome is what matters
  }
}
