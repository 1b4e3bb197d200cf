// Who of several servers does what is to be done once: the one statement that moves the time forward decides.
import type { Database } from './database.ts';

const claim = `INSERT INTO maintenance_tasks (task, done_at) VALUES ($1, $2)
  ON CONFLICT (task) DO UPDATE SET done_at = $2 WHERE maintenance_tasks.done_at <= $2 - $3::bigint RETURNING task`;

export async function claimTask(database: Database, task: string, now: number, everyMs: number): Promise<boolean> {
  return (await database.query(claim, [task, Math.floor(now), Math.floor(everyMs)])).length > 0;
}
