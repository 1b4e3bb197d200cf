// Join tokens in PostgreSQL. Taking one deletes its row, so that the database itself lets only one taker win.
import type { Database } from './database.ts';
import type { JoinTokenRecord } from './records.ts';
import type { JoinTokenStore } from './store.ts';

export function createJoinTokenStore(database: Database): JoinTokenStore {
  return {
    async createJoinToken({ token, expiresAt }) {
      await database.query('INSERT INTO join_tokens (token, expires_at) VALUES ($1, $2)', [token, expiresAt]);
    },
    async fetchJoinToken(token) {
      const statement = 'SELECT token, expires_at AS "expiresAt" FROM join_tokens WHERE token = $1';
      const [found] = await database.query<JoinTokenRecord>(statement, [token]);
      return found;
    },
    async takeJoinToken(token) {
      const statement = 'DELETE FROM join_tokens WHERE token = $1 RETURNING token, expires_at AS "expiresAt"';
      const [taken] = await database.query<JoinTokenRecord>(statement, [token]);
      return taken;
    },
    async pruneJoinTokens(expiredBefore) {
      const statement = 'DELETE FROM join_tokens WHERE expires_at < $1 RETURNING token';
      return (await database.query(statement, [expiredBefore])).length;
    },
  };
}
