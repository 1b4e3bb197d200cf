// Brings the database to this program's schema: one server at a time, all steps or none.
import type { Database } from './database.ts';
import { StoreError } from './errors.ts';
import { migrations } from './migrations.ts';

/** Any number that no other program would take: the bytes of "espa". */
const migrationLock = 0x65737061;

export function migrate(database: Database, steps: readonly string[] = migrations): Promise<void> {
  return database.transaction(async (query) => {
    await query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
    await query(
      'CREATE TABLE IF NOT EXISTS schema_versions (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    const [row] = await query<{ version: number }>('SELECT coalesce(max(version), 0) AS version FROM schema_versions');
    const current = row?.version ?? 0;
    if (current > steps.length) {
      throw new StoreError('SCHEMA_NEWER', `database has schema version ${current}, this server knows ${steps.length}`);
    }
    for (const [index, step] of steps.entries()) {
      if (index < current) continue;
      await query(step);
      await query('INSERT INTO schema_versions (version) VALUES ($1)', [index + 1]);
    }
  });
}
