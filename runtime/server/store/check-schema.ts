// What is looked for in a database before anything is changed in it: another program's tables, and, where somebody else migrates, the schema itself.
import type { Database, Query } from './database.ts';
import { StoreError } from './errors.ts';
import { migrations } from './migrations.ts';

/** Of SPIRE's own datastore: what is in it is not taken over, and must not come to lie beside ours. Throws FOREIGN_SCHEMA. */
export async function refuseForeignTables(query: Query): Promise<void> {
  const found = await query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL ORDER BY name',
    [['attested_node_entries', 'registered_entries']],
  );
  if (found.length === 0) return;
  const tables = found.map(({ name }) => name).join(', ');
  throw new StoreError(
    'FOREIGN_SCHEMA',
    `database holds data of SPIRE (${tables}), which is not taken over: give this server a database of its own`,
  );
}

/** For a server that is not to migrate. A newer schema is judged by `migrate`, which changes nothing in one. Throws SCHEMA_OLDER. */
export async function checkMigrated({ query }: Pick<Database, 'query'>): Promise<void> {
  const [table] = await query("SELECT 1 WHERE to_regclass('schema_versions') IS NOT NULL");
  const read = 'SELECT coalesce(max(version), 0) AS version FROM schema_versions';
  const version = table === undefined ? 0 : ((await query<{ version: number }>(read))[0]?.version ?? 0);
  if (version >= migrations.length) return;
  const versions = `database has schema version ${version}, this server needs ${migrations.length}`;
  throw new StoreError('SCHEMA_OLDER', `${versions}, and disable_migration is set`);
}
