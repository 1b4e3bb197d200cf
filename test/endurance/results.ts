// The result file of a run, written anew after every case, so that a run that was cut short is gone on with: results/<date>-<seed>.json.
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const resultSchema = z.object({
  case: z.string(),
  outcome: z.enum(['passed', 'failed']),
  seconds: z.number(),
  /** Why it failed. */
  reason: z.string().optional(),
});
export type Result = z.output<typeof resultSchema>;

const fileSchema = z.object({ seed: z.number().int(), startedAt: z.string(), cases: z.array(resultSchema) });
export type Results = z.output<typeof fileSchema>;

const directory = join(import.meta.dirname, 'results');

export function newResults(seed: number): Results {
  return { seed, startedAt: new Date().toISOString(), cases: [] };
}

/** The newest of a seed, or the newest of all; `undefined` where there is none. */
export function loadResults(seed: number | undefined): Results | undefined {
  if (!existsSync(directory)) return undefined;
  const newest = readdirSync(directory)
    .filter((name) => name.endsWith(seed === undefined ? '.json' : `-${seed}.json`))
    .map((name) => fileSchema.parse(JSON.parse(readFileSync(join(directory, name), 'utf8'))))
    .sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  return newest.at(-1);
}

/** A case that was run again has its last result only. */
export function addResult(results: Results, result: Result): Results {
  return { ...results, cases: [...results.cases.filter((other) => other.case !== result.case), result] };
}

export function writeResults(results: Results): string {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${results.startedAt.slice(0, 10)}-${results.seed}.json`);
  writeFileSync(`${file}.new`, `${JSON.stringify(results, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
  return file;
}
