// Brings the database to this program's schema: one server at a time, all steps or none. A schema that is newer than the program is left as it is,
// and refused unless the server that made it has noted that programs as old as this one can work with it.
import type { Database, Query } from './database.ts';
import { refuseForeignTables } from './check-schema.ts';
import { StoreError } from './errors.ts';
import { migrations, oldestCompatible } from './migrations.ts';

/** Any number that no other program would take: the bytes of "espa". */
const migrationLock = 0x65737061;

/** Without a note, as older servers left none, a schema is compatible with those only that know its version. */
const versionsTable = `
  CREATE TABLE IF NOT EXISTS schema_versions (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
  ALTER TABLE schema_versions ADD COLUMN IF NOT EXISTS oldest_compatible integer;
`;

const readVersion = `SELECT version, coalesce(oldest_compatible, version) AS "oldestCompatible"
  FROM schema_versions ORDER BY version DESC LIMIT 1`;

interface SchemaVersion {
  readonly version: number;
  readonly oldestCompatible: number;
}

/** Throws SCHEMA_NEWER, FOREIGN_SCHEMA. */
export function migrate(
  database: Database,
  steps: readonly string[] = migrations,
  compatible: number = oldestCompatible,
): Promise<void> {
  return database.transaction(async (query) => {
    await refuseForeignTables(query);
    await query('SELECT pg_advisory_xact_lock($1)', [migrationLock]);
    if (!(await hasNotes(query))) await query(versionsTable);
    const [found] = await query<SchemaVersion>(readVersion);
    const current = found?.version ?? 0;
    if (found !== undefined && found.oldestCompatible > steps.length) {
      throw new StoreError('SCHEMA_NEWER', `database has schema version ${current}, this server knows ${steps.length}`);
    }
    for (const [index, step] of steps.entries()) {
      if (index < current) continue;
      await query(step);
      const noted = [index + 1, Math.min(compatible, index + 1)];
      await query('INSERT INTO schema_versions (version, oldest_compatible) VALUES ($1, $2)', noted);
    }
  });
}

/** Asked first: to change the table would wait for every server that reads it. */
async function hasNotes(query: Query): Promise<boolean> {
  const statement = `SELECT 1 FROM pg_attribute
    WHERE attrelid = to_regclass('schema_versions') AND attname = 'oldest_compatible' AND NOT attisdropped`;
  return (await query(statement)).length > 0;
}
