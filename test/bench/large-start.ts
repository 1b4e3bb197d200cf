// How long a server takes to be ready on a database with many entries, and how much memory it then has.
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { openPostgresStore } from '../../runtime/server/store/postgres-store.ts';
import { startServerProcess } from './server-under-load.ts';

export const manyEntries = 100_000;
const batch = 1_000;
const agents = 100;
/** Until what starting left behind is collected. */
const settleMs = 5_000;

export interface LargeStart {
  readonly entries: number;
  readonly readyMs: number;
  readonly cpuMs: number;
  readonly rssMb: number;
}

export async function measureLargeStart(databaseUrl: string): Promise<LargeStart> {
  await fillDatabase(databaseUrl);
  const began = performance.now();
  const server = await startServerProcess(databaseUrl);
  const readyMs = performance.now() - began;
  try {
    const { cpu } = await server.usage();
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const { rss } = await server.usage();
    return { entries: manyEntries, readyMs, cpuMs: cpu / 1000, rssMb: rss / 1024 / 1024 };
  } finally {
    await server.close();
  }
}

async function fillDatabase(connectionString: string): Promise<void> {
  const store = await openPostgresStore({ connectionString, log: pino({ level: 'silent' }), clock: Date.now });
  for (let made = await store.countEntries({}); made < manyEntries; made += batch) {
    await store.createEntries(
      Array.from({ length: batch }, (_, index) => {
        const path = `/workload/${randomUUID()}`;
        return {
          spiffeId: `spiffe://example.org${path}`,
          parentId: `spiffe://example.org/spire/agent/join_token/${index % agents}`,
          selectors: [
            { type: 'unix', value: `path:/opt${path}` },
            { type: 'unix', value: 'uid:1000' },
          ],
        };
      }),
    );
  }
  await store.close();
}
