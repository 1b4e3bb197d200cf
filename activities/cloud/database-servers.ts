// The PostgreSQL that a pool of servers has its database on, as somebody who may create roles and databases there reaches it.
import { createDatastore } from '../clients/postgres.ts';

export interface OfPool {
  readonly trustDomain: string;
  readonly pool: string;
  /** Absent in runs that began before it was asked for. */
  readonly region?: string | undefined;
}

export interface DatabaseServers {
  /** Its address, once it is there. It holds a password: it goes to nobody but the database client. */
  ensure(pool: OfPool): Promise<string>;
  /** Undefined where there is none. */
  find(pool: OfPool): Promise<string | undefined>;
  /** After what is on it is gone; content where there is none, or where others have it too. */
  remove(pool: OfPool): Promise<void>;
  /** Pools of which something is left: a server, a database or a role. */
  listPools(trustDomain: string): Promise<string[]>;
}

/** One that somebody stood up for all pools. */
export function sharedDatabaseServer(adminUrl: string): DatabaseServers {
  return {
    ensure: () => Promise.resolve(adminUrl),
    find: () => Promise.resolve(adminUrl),
    remove: () => Promise.resolve(),
    listPools: (trustDomain) => createDatastore(adminUrl).listPools(trustDomain),
  };
}
