// The store on PostgreSQL: the parts put together over one pool of connections.
import type { Logger } from '../../log.ts';
import { agentOfRow } from './agent-row.ts';
import { createAgentStore } from './agent-store.ts';
import { createAuthorityActStore } from './authority-act-store.ts';
import { createBundleStore } from './bundle-store.ts';
import { checkMigrated } from './check-schema.ts';
import { createCaJournalStore } from './ca-journal-store.ts';
import { openChangeFeed } from './change-feed.ts';
import { parseConnectionString } from './connection-string.ts';
import { openDatabase } from './database.ts';
import type { PoolLimits } from './database.ts';
import { entryOfRow } from './entry-row.ts';
import { createEntryStore } from './entry-store.ts';
import { createFederationStore } from './federation-store.ts';
import { createIssuanceStore } from './issuance-store.ts';
import { createJoinTokenStore } from './join-token-store.ts';
import { claimTask } from './maintenance-store.ts';
import { migrate } from './migrate.ts';
import { createFleetStore } from './fleet-store.ts';
import type { AgentRecord, EntryRecord } from './records.ts';
import { allRowsByReplica } from './replica-reads.ts';
import { createReplicaStore } from './replica-store.ts';
import { createServiceStore } from './service-store.ts';
import type { Store } from './store.ts';

export interface PostgresStoreOptions {
  /** A URL, or `key=value` pairs as in SPIRE's configuration. */
  readonly connectionString: string;
  readonly log: Logger;
  readonly clock: () => number;
  readonly limits?: PoolLimits;
  /** The schema must be the one wanted already. */
  readonly disableMigration?: boolean;
  /** Of a replica, which may lag behind: caches are filled from it. */
  readonly readOnlyConnectionString?: string;
  /** Of the poll that makes up for lost notifications. */
  readonly pollMs?: number;
  /** For so long changes are kept. */
  readonly retentionMs?: number;
}

/** Migrates the database first. Throws StoreError: SCHEMA_NEWER, SCHEMA_OLDER, FOREIGN_SCHEMA, UNAVAILABLE. */
export async function openPostgresStore({
  connectionString,
  readOnlyConnectionString,
  log,
  clock,
  limits,
  disableMigration = false,
  ...options
}: PostgresStoreOptions): Promise<Store> {
  const open = (text: string) => openDatabase({ url: parseConnectionString(text), log, ...limits });
  const database = open(connectionString);
  const replica = readOnlyConnectionString === undefined ? undefined : open(readOnlyConnectionString);
  const close = async (): Promise<void> => {
    await replica?.close();
    await database.close();
  };
  try {
    if (disableMigration) await checkMigrated(database);
    await migrate(database);
    const feed = await openChangeFeed({ database, log, clock, ...options });
    const entries = createEntryStore(database, clock);
    const agents = createAgentStore(database);
    const reads = { database, replica, log };
    return {
      ...entries,
      ...agents,
      ...createJoinTokenStore(database),
      ...createBundleStore(database),
      ...createFederationStore(database),
      ...createCaJournalStore(database, clock),
      ...createReplicaStore(database),
      ...createFleetStore(database),
      ...createAuthorityActStore(database),
      ...createIssuanceStore(database),
      ...createServiceStore(database, clock),
      claimTask: (task, now, everyMs) => claimTask(database, task, now, everyMs),
      allEntries: () =>
        allRowsByReplica<EntryRecord>(reads, {
          name: 'entries',
          kind: 'entry',
          recordOf: entryOfRow,
          keyOf: ({ id }) => id,
          fetch: (ids) => entries.fetchEntries(ids),
        }),
      allAgents: () =>
        allRowsByReplica<AgentRecord>(reads, {
          name: 'agents',
          kind: 'agent',
          recordOf: agentOfRow,
          keyOf: ({ spiffeId }) => spiffeId,
          fetch: (ids) => agents.fetchAgents(ids),
        }),
      watch: feed.watch,
      async ping() {
        await database.query('SELECT 1');
      },
      async close() {
        await feed.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
