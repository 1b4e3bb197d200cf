// A pool of PostgreSQL connections with the two ways to use it: one statement, or one transaction. It outlives the database's restarts.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from '../../log.ts';
import { StoreError } from './errors.ts';
import { isConnectionFailure, isRolledBack, translateError } from './database-errors.ts';

/** A statement that is run so often that each connection keeps its plan under this name. */
export interface NamedStatement {
  readonly name: string;
  readonly text: string;
  /** Fails at once where the database is away: who asks knows what to do then. */
  readonly isUrgent?: true;
}

export type Query = <Row = Record<string, unknown>>(
  statement: string | NamedStatement,
  values?: readonly unknown[],
) => Promise<Row[]>;

export interface Database {
  readonly query: Query;
  /** Rolled back when `act` throws; run again when the database rolled it back (a deadlock). `act` has no other effects. */
  transaction<T>(act: (query: Query) => Promise<T>): Promise<T>;
  /** A connection outside the pool, for LISTEN. Not yet connected. */
  createClient(): pg.Client;
  close(): Promise<void>;
}

const defaultMaxConnections = 20;
const connectTimeoutMs = 5_000;
const statementTimeoutMs = 30_000;
/** A database that vanished without a word is noticed after a few of these. */
const keepAliveMs = 10_000;
/** How long a call waits for a database that is restarting. */
const acquireTimeoutMs = 10_000;
const acquireRetryMs = 200;
const maxTransactionRuns = 3;

/** Of the pool; the connection that listens for changes is one more. */
export interface PoolLimits {
  readonly maxConnections?: number;
  readonly maxIdleConnections?: number;
  /** A connection older than this is closed once it is idle (ms). */
  readonly connectionLifetimeMs?: number;
}

export interface DatabaseOptions extends PoolLimits {
  readonly url: string;
  readonly log: Logger;
}

export function openDatabase({ url, log, ...limits }: DatabaseOptions): Database {
  const { maxConnections = defaultMaxConnections, maxIdleConnections = maxConnections, connectionLifetimeMs } = limits;
  const settings: pg.ClientConfig = {
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
    application_name: 'spire-server',
    // Counters stay far below 2^53.
    types: {
      getTypeParser: (oid, format) =>
        oid === pg.types.builtins.INT8 ? Number : (pg.types.getTypeParser(oid, format) as (value: string) => unknown),
    },
  };
  const pool = new pg.Pool({
    ...settings,
    max: maxConnections,
    ...(connectionLifetimeMs === undefined ? {} : { maxLifetimeSeconds: Math.ceil(connectionLifetimeMs / 1000) }),
  });
  // An idle connection that breaks is dropped by the pool; the next call takes another.
  pool.on('error', (error) => log.warn({ err: error }, 'idle database connection lost'));
  // One that breaks in use fails its query; without a listener the event would end the process.
  pool.on('connect', (client) => client.on('error', (error) => log.debug({ err: error }, 'database connection broke')));

  const withClient = async <T>(act: (query: Query) => Promise<T>, patienceMs = acquireTimeoutMs): Promise<T> => {
    const client = await acquire(pool, patienceMs);
    try {
      const result = await act(queryOf(client));
      client.release(pool.idleCount >= maxIdleConnections);
      return result;
    } catch (error) {
      client.release(isConnectionFailure(error));
      throw translateError(error);
    }
  };

  return {
    query: (statement, values) => withClient((query) => query(statement, values), patienceFor(statement)),
    async transaction(act) {
      for (let run = 1; ; run += 1) {
        try {
          return await withClient((query) => inTransaction(query, act));
        } catch (error) {
          if (run === maxTransactionRuns || !isRolledBack(error)) throw error;
        }
      }
    },
    createClient: () => new pg.Client({ ...settings, query_timeout: connectTimeoutMs }),
    close: () => pool.end(),
  };
}

function patienceFor(statement: string | NamedStatement): number {
  return typeof statement !== 'string' && statement.isUrgent === true ? 0 : acquireTimeoutMs;
}

function queryOf(client: pg.PoolClient): Query {
  return async <Row>(statement: string | NamedStatement, values: readonly unknown[] = []) => {
    const { name, text } = typeof statement === 'string' ? { name: undefined, text: statement } : statement;
    const { rows } = await client.query({
      text,
      ...(name === undefined ? {} : { name }),
      ...(values.length === 0 ? {} : { values: [...values] }),
    });
    return rows as Row[];
  };
}

async function inTransaction<T>(query: Query, act: (query: Query) => Promise<T>): Promise<T> {
  await query('BEGIN');
  try {
    const result = await act(query);
    await query('COMMIT');
    return result;
  } catch (error) {
    // When the connection is gone, so is the transaction.
    if (!isConnectionFailure(error)) await query('ROLLBACK');
    throw error;
  }
}

/** Nothing has been sent yet, so trying again is safe. */
async function acquire(pool: pg.Pool, patienceMs: number): Promise<pg.PoolClient> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await pool.connect();
    } catch (error) {
      if (!isConnectionFailure(error) || pool.ending) throw translateError(error);
      if (Date.now() >= deadline) throw new StoreError('UNAVAILABLE', 'database does not answer', { cause: error });
      await sleep(acquireRetryMs);
    }
  }
}
