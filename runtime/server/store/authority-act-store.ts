// Acts on authorities that one server asks of another over the database they share. A row goes from asked to taken to answered, or is withdrawn.
import { randomUUID } from 'node:crypto';
import type { Database } from './database.ts';
import { StoreError } from './errors.ts';
import type { AuthorityActRecord } from './records.ts';
import type { AuthorityActStore } from './store.ts';

const fields = `id, owner, asked_by AS "askedBy", kind, act, authority_id AS "authorityId", state, answer`;
const insert = `INSERT INTO authority_acts (id, owner, asked_by, kind, act, authority_id) VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (owner, kind, act, authority_id) WHERE state IN ('asked', 'taken') DO NOTHING RETURNING ${fields}`;
const pending = `SELECT ${fields} FROM authority_acts
  WHERE owner = $1 AND kind = $2 AND act = $3 AND authority_id = $4 AND state IN ('asked', 'taken')`;
const take = `UPDATE authority_acts SET state = 'taken' WHERE id = (
    SELECT id FROM authority_acts WHERE owner = $1 AND state = 'asked' ORDER BY asked_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
  ) AND state = 'asked' RETURNING ${fields}`;

/** Between insert and select the one that was there may have been answered. */
const maxTries = 5;

export function createAuthorityActStore(database: Database): AuthorityActStore {
  return {
    async askAct({ owner, askedBy, kind, act, authorityId }) {
      for (let tries = 0; tries < maxTries; tries += 1) {
        const values = [randomUUID(), owner, askedBy, kind, act, authorityId];
        const [asked] = await database.query<AuthorityActRecord>(insert, values);
        if (asked !== undefined) return asked;
        const [joined] = await database.query<AuthorityActRecord>(pending, [owner, kind, act, authorityId]);
        if (joined !== undefined) return joined;
      }
      throw new StoreError('UNAVAILABLE', `${act} of ${authorityId} is asked too often at once`);
    },
    async takeAct(owner) {
      return (await database.query<AuthorityActRecord>(take, [owner]))[0];
    },
    async answerAct(id, answer) {
      const statement = `UPDATE authority_acts SET state = 'answered', answer = $2 WHERE id = $1`;
      await database.query(statement, [id, JSON.stringify(answer)]);
    },
    async fetchAct(id) {
      return (await database.query<AuthorityActRecord>(`SELECT ${fields} FROM authority_acts WHERE id = $1`, [id]))[0];
    },
    async withdrawAct(id) {
      const statement = `UPDATE authority_acts SET state = 'withdrawn' WHERE id = $1 AND state = 'asked' RETURNING id`;
      return (await database.query(statement, [id])).length > 0;
    },
    async pruneActs() {
      const statement = `DELETE FROM authority_acts WHERE asked_at < now() - interval '1 day' RETURNING id`;
      return (await database.query(statement)).length;
    },
  };
}
