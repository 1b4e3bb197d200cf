// Adds up what the parts of `.ci/run` counted: vitest's JSON reports, and the last line `N passed, N failed` of the others. A part that ended
// with an error and counted no failure is one failure itself; so is a part that counted nothing.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [, , directory] = process.argv;
if (directory === undefined) throw new Error('usage: counts.ts <directory of results>');

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

function vitestCounts(file: string): Counts | undefined {
  if (!existsSync(file)) return undefined;
  const report = JSON.parse(readFileSync(file, 'utf8')) as { numPassedTests: number; numFailedTests: number };
  return { passed: report.numPassedTests, failed: report.numFailedTests };
}

function printedCounts(file: string): Counts | undefined {
  if (!existsSync(file)) return undefined;
  const [last] = [...readFileSync(file, 'utf8').matchAll(/(\d+) passed, (\d+) failed/g)].slice(-1);
  return last === undefined ? undefined : { passed: Number(last[1]), failed: Number(last[2]) };
}

function countsOf(part: string): Counts {
  const counted =
    vitestCounts(join(directory ?? '', `${part}.json`)) ?? printedCounts(join(directory ?? '', `${part}.log`));
  const code = existsSync(join(directory ?? '', `${part}.code`))
    ? readFileSync(join(directory ?? '', `${part}.code`), 'utf8').trim()
    : 'none';
  if (counted === undefined) return { passed: 0, failed: 1 };
  return code !== '0' && counted.failed === 0 ? { ...counted, failed: 1 } : counted;
}

const parts = [
  'unit',
  'check',
  'peers',
  'endurance',
  'endurance-authority',
  'endurance-rotation',
  'endurance-database',
  'endurance-agent',
  'endurance-abuse',
].map((part) => ({
  part,
  ...countsOf(part),
}));
for (const { part, passed, failed } of parts) process.stdout.write(`${part}: ${passed} passed, ${failed} failed.\n`);
const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
const failed = sum(parts.map((part) => part.failed));
process.stdout.write(`${sum(parts.map((part) => part.passed))} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
