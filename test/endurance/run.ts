// `npm run endurance`: what must survive, disturbed everywhere: a bootstrap in each of its phases, servers between two steps of a rotation, runbooks and
// rollouts at each of their activities, the connection to their database around each commit, agents between two steps of attestation, and both abused by
// their clients; see cases.ts.
//   node test/endurance/run.ts [--seed <number>] [--matrix <name>] [--only <part of a case's name>] [--sample <number>] [--resume]
// One case at a time. `--resume` leaves out what passed before with the same seed.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { allCases, matrices, sampleCases } from './cases.ts';
import type { Case, Matrix } from './cases.ts';
import { addResult, loadResults, newResults, writeResults } from './results.ts';
import { createStages } from './stages.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    matrix: { type: 'string' },
    only: { type: 'string' },
    sample: { type: 'string' },
    resume: { type: 'boolean', default: false },
  },
});

const given = values.seed === undefined ? undefined : parseNumber('--seed', values.seed);
const earlier = values.resume ? loadResults(given) : undefined;
let results = earlier ?? newResults(given ?? randomInt(1_000_000));
const { seed } = results;
console.log(`seed ${seed}`);

const wanted = chooseCases();
if (wanted.length === 0) refuse(`no case has ${JSON.stringify(values.only)} in its name`);
const chosen = wanted.filter(({ name }) => !wasPassed(name));
let passed = wanted.length - chosen.length;
let failed = 0;
if (passed > 0) console.log(`${passed} passed before`);
const stages = createStages();
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort());
for (const [index, chosenCase] of chosen.entries()) {
  const { name } = chosenCase;
  console.log(`${name} (${index + 1} of ${chosen.length})`);
  const started = Date.now();
  const tell = (line: string) => console.log(`  ${clock(started)}  ${line}`);
  const reason = await stages.run(chosenCase, { seed, tell, signal: stopping.signal });
  // Its story may be about to start something else: it ends with this process, and the case is no result.
  if (stopping.signal.aborted) process.exit(130);
  const seconds = Math.round((Date.now() - started) / 1000);
  if (reason === undefined) passed += 1;
  else failed += 1;
  const outcome = reason === undefined ? 'passed' : 'failed';
  results = addResult(results, { case: name, outcome, seconds, ...(reason === undefined ? {} : { reason }) });
  const file = writeResults(results);
  console.log(`  ${clock(started)}  ${outcome}${reason === undefined ? '' : `: ${reason}`}; ${file}`);
}
await stages.close();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function chooseCases(): readonly Case[] {
  const matrix = chooseMatrix(values.matrix);
  if (values.sample !== undefined)
    return sampleCases(seed, parseNumber('--sample', values.sample), matrix ?? 'bootstrap');
  const cases = matrix === undefined ? allCases : matrices[matrix];
  return cases.filter(({ name }) => values.only === undefined || name.includes(values.only));
}

function chooseMatrix(name: string | undefined): Matrix | undefined {
  if (name === undefined) return undefined;
  if (Object.hasOwn(matrices, name)) return name as Matrix;
  return refuse(`--matrix must be one of ${Object.keys(matrices).join(', ')}: ${name}`);
}

function wasPassed(name: string): boolean {
  return earlier?.cases.some((result) => result.case === name && result.outcome === 'passed') === true;
}

function clock(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1).padStart(6)} s`;
}

function parseNumber(flag: string, text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : refuse(`${flag} must be a whole number: ${text}`);
}

function refuse(reason: string): never {
  process.stderr.write(`endurance: ${reason}\n`);
  process.exit(2);
}
