// Databases for server pools, on a real PostgreSQL: made once, each with a role of its own, and gone without a trace.
import pg from 'pg';
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatastore } from '../../../activities/clients/postgres.ts';
import type { Datastore } from '../../../activities/clients/postgres.ts';
import { createTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
let datastore: Datastore;
beforeAll(async () => {
  database = await createTestDatabase();
  datastore = createDatastore(database.url);
});
afterAll(() => database.drop());

/** Names are the whole server's: each test has a trust domain that no other run has. */
let trustDomain: string;
const pools = ['upstream', 'gcp-1'];
beforeEach(() => {
  trustDomain = `${randomBytes(6).toString('hex')}.example.org`;
});
afterEach(async () => {
  for (const pool of pools) await datastore.removeDatabase({ trustDomain, pool });
});

/** The cloud's secret store, as far as one pool has to do with it. */
function createSecret() {
  const kept: string[] = [];
  return {
    kept,
    isKept: async () => kept.length > 0,
    keep: async (url: string) => void kept.push(url),
  };
}
const ensure = (pool: string, secret: ReturnType<typeof createSecret>) =>
  datastore.ensureDatabase({ trustDomain, pool, isKept: secret.isKept, keep: secret.keep });

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

describe('ensureDatabase', () => {
  it('hands the address of an empty database to its keeper, and to nobody else', async () => {
    const secret = createSecret();
    expect(await ensure('upstream', secret)).toBeUndefined();
    expect(secret.kept).toHaveLength(1);
    const [url = ''] = secret.kept;
    expect(await query(url, 'SELECT current_user = current_database()')).toEqual([true]);
    await query(url, 'CREATE TABLE entries (id text)');
    expect(new URL(url).password).toMatch(/^[0-9a-f]{48}$/);
  });

  it('does nothing where all is in its place', async () => {
    const secret = createSecret();
    await ensure('upstream', secret);
    await ensure('upstream', secret);
    expect(secret.kept).toHaveLength(1);
    expect(await query(secret.kept[0]!, 'SELECT 1')).toEqual([1]);
  });

  it('makes a new password, and keeps what is stored, where the address was lost', async () => {
    const [first, second] = [createSecret(), createSecret()];
    await ensure('upstream', first);
    await query(first.kept[0]!, 'CREATE TABLE entries AS SELECT 7 AS id');
    await ensure('upstream', second);
    expect(second.kept[0]).not.toBe(first.kept[0]);
    expect(await query(second.kept[0]!, 'SELECT id FROM entries')).toEqual([7]);
    await expect(query(first.kept[0]!, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  it('goes on where it was interrupted before the address was kept', async () => {
    const secret = createSecret();
    const lost = { ...secret, keep: () => Promise.reject(new Error('the secret store is away')) };
    await expect(ensure('upstream', lost)).rejects.toMatchObject({ type: 'Unavailable' });
    await ensure('upstream', secret);
    expect(await query(secret.kept[0]!, 'SELECT 1')).toEqual([1]);
  });

  it('gives each pool what the other cannot read', async () => {
    const [one, other] = [createSecret(), createSecret()];
    await ensure('upstream', one);
    await ensure('gcp-1', other);
    const foreign = new URL(one.kept[0]!);
    foreign.pathname = new URL(other.kept[0]!).pathname;
    await query(other.kept[0]!, 'CREATE TABLE entries (id text)');
    await expect(query(foreign.href, 'SELECT * FROM entries')).rejects.toThrow(/permission denied/);
    expect(
      await query(
        one.kept[0]!,
        'SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user',
      ),
    ).toEqual([false]);
  });

  it('says nothing of statements or addresses when it fails', async () => {
    const url = new URL(database.url);
    url.password = 'not-this-one';
    url.username = 'nobody-of-this-name';
    const refused = createDatastore(url.href);
    const failure: unknown = await refused.listDatabases(trustDomain).catch((cause: unknown) => cause);
    expect(failure).toMatchObject({ type: 'Unavailable' });
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('not-this-one');
    expect((failure as Error).cause).toBeUndefined();
  });

  it('asks again later where there is no server', async () => {
    const nowhere = createDatastore('postgres://u:pw@127.0.0.1:1/d');
    await expect(nowhere.listDatabases(trustDomain)).rejects.toMatchObject({
      type: 'Unavailable',
      nonRetryable: false,
    });
  });
});

describe('removeDatabase', () => {
  it('takes database and role away, even while somebody is connected', async () => {
    const secret = createSecret();
    await ensure('upstream', secret);
    const client = new pg.Client({ connectionString: secret.kept[0]! });
    client.on('error', () => undefined); // it is cut off, as is meant
    await client.connect();
    await datastore.removeDatabase({ trustDomain, pool: 'upstream' });
    expect(await datastore.listDatabases(trustDomain)).toEqual([]);
    const role = new URL(secret.kept[0]!).username;
    expect(await query(database.url, `SELECT rolname FROM pg_roles WHERE rolname = '${role}'`)).toEqual([]);
    await client.end().catch(() => undefined);
  });

  it('is content with nothing to remove', async () => {
    await datastore.removeDatabase({ trustDomain, pool: 'upstream' });
    await datastore.removeDatabase({ trustDomain, pool: 'upstream' });
  });

  it('leaves the other pools alone', async () => {
    await ensure('upstream', createSecret());
    await ensure('gcp-1', createSecret());
    await datastore.removeDatabase({ trustDomain, pool: 'upstream' });
    expect(await datastore.listDatabases(trustDomain)).toEqual([expect.stringMatching(/_gcp_1$/)]);
  });
});

describe('listDatabases', () => {
  it('names those of one trust domain', async () => {
    await ensure('upstream', createSecret());
    await ensure('gcp-1', createSecret());
    const names = await datastore.listDatabases(trustDomain);
    expect(names.map((name) => name.replace(/^espalier_[0-9a-f]{8}_/, '')).sort()).toEqual(['gcp_1', 'upstream']);
    expect(await datastore.listDatabases(`other.${trustDomain}`)).toEqual([]);
  });
});

describe('listPools', () => {
  it('names the pools of a trust domain of which a database or a role alone is there', async () => {
    const secret = createSecret();
    for (const pool of pools) await ensure(pool, secret);
    expect(await datastore.listPools(trustDomain)).toEqual(['gcp-1', 'upstream']);
    const [name = ''] = (await datastore.listDatabases(trustDomain)).filter((one) => one.endsWith('_gcp_1'));
    await query(database.url, `DROP DATABASE ${name}`);
    expect(await datastore.listPools(trustDomain)).toEqual(['gcp-1', 'upstream']);
    await datastore.removeDatabase({ trustDomain, pool: 'gcp-1' });
    expect(await datastore.listPools(trustDomain)).toEqual(['upstream']);
  });
});

describe('closeDatabase', () => {
  it('ends the connections of one pool and lets none in, until it is opened again', async () => {
    const [one, other] = [createSecret(), createSecret()];
    await ensure('upstream', one);
    await ensure('gcp-1', other);
    const client = new pg.Client({ connectionString: one.kept[0]! });
    const ended = new Promise<string>((resolve) => client.on('error', ({ message }) => resolve(message)));
    await client.connect();
    await datastore.closeDatabase({ trustDomain, pool: 'upstream' });
    expect(await ended).toContain('terminating connection due to administrator command');
    await expect(query(one.kept[0]!, 'SELECT 1')).rejects.toThrow(/is not permitted to log in/);
    expect(await query(other.kept[0]!, 'SELECT 1')).toEqual([1]);
    await datastore.closeDatabase({ trustDomain, pool: 'upstream' });
    await datastore.openDatabase({ trustDomain, pool: 'upstream' });
    await datastore.openDatabase({ trustDomain, pool: 'upstream' });
    expect(await query(one.kept[0]!, 'SELECT 1')).toEqual([1]);
  });
});
