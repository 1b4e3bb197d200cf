// The server's store on an empty database, for one test file.
import { pino } from 'pino';
import { openPostgresStore } from '../../runtime/server/store/postgres-store.ts';
import type { Store } from '../../runtime/server/store/store.ts';
import { createTestDatabase } from './postgres.ts';

export const silentLog = pino({ level: 'silent' });

export interface TestStore {
  readonly store: Store;
  readonly url: string;
  /** Another server's view of the same database; closed with the rest. */
  openAnother(): Promise<Store>;
  drop(): Promise<void>;
}

export async function createTestStore(clock: () => number = Date.now): Promise<TestStore> {
  const database = await createTestDatabase();
  const stores: Store[] = [];
  const open = async (): Promise<Store> => {
    const store = await openPostgresStore({ connectionString: database.url, log: silentLog, clock, pollMs: 1_000 });
    stores.push(store);
    return store;
  };
  return {
    store: await open(),
    url: database.url,
    openAnother: open,
    async drop() {
      await Promise.all(stores.map((store) => store.close()));
      await database.drop();
    },
  };
}
