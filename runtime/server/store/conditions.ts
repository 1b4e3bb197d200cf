// A WHERE clause put together from the filters that are present; values travel as parameters only.
import { StoreError } from './errors.ts';
import type { PageRequest, SetMatch } from './records.ts';

export class Conditions {
  readonly values: unknown[] = [];
  readonly #clauses: string[] = [];

  /** Skipped when the value is absent. `?` in the clause stands for it. */
  add(clause: string, value: unknown): this {
    if (value === undefined) return this;
    this.values.push(value);
    this.#clauses.push(clause.replaceAll('?', `$${this.values.length}`));
    return this;
  }

  addSetMatch(column: string, match: SetMatch, set: readonly string[]): this {
    return this.add(setMatches[match].replaceAll('column', column), set);
  }

  /** '' or ' WHERE …' */
  where(): string {
    return this.#clauses.length === 0 ? '' : ` WHERE ${this.#clauses.join(' AND ')}`;
  }
}

/** The sets have members. Records without any are no answer, and are not in the index of what entries federate with. */
const setMatches: Readonly<Record<SetMatch, string>> = {
  exact: "(column @> ?::text[] AND column <@ ?::text[] AND column <> '{}')",
  subset: "(column <@ ?::text[] AND column <> '{}')",
  superset: "(column @> ?::text[] AND column <> '{}')",
  any: "(column && ?::text[] AND column <> '{}')",
};

/** No answer is longer than this, whatever the caller asks for. */
const maxPageSize = 1000;

export interface PageSlice {
  /** Behind the WHERE clause. */
  readonly tail: string;
  readonly size: number;
}

/** Continues `conditions` with the page: rows after the token, one more than asked for to see whether there is a next page. */
export function sliceOf(page: PageRequest | undefined, conditions: Conditions): PageSlice {
  if (page === undefined) return { tail: ' ORDER BY seq', size: Number.POSITIVE_INFINITY };
  if (!/^[0-9]{0,18}$/.test(page.token)) throw new StoreError('INVALID', `could not parse token '${page.token}'`);
  if (page.token !== '') conditions.add('seq > ?::bigint', page.token);
  const size = Math.min(Math.max(page.size, 1), maxPageSize);
  return { tail: ` ORDER BY seq LIMIT ${size + 1}`, size };
}

/** The rows of the page, and the token of the next ('' after the last). */
export function cutPage<Row extends { readonly seq: number }>(rows: readonly Row[], { size }: PageSlice) {
  const kept = rows.length > size ? rows.slice(0, size) : rows;
  const last = kept.at(-1);
  return { rows: kept, nextPageToken: kept.length < rows.length && last !== undefined ? String(last.seq) : '' };
}
