// Adds up what the parts of `.ci/run` counted: vitest's JSON reports, and the last line `N passed, N failed` of the others. A part that ended
// with an error and counted no failure is one failure itself; so is a part that counted nothing. Names what failed and the ten test files that took
// longest.
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const [, , directory] = process.argv;
if (directory === undefined) throw new Error('usage: counts.ts <directory of results>');

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    /** Milliseconds since 1970. */
    readonly startTime: number;
    readonly endTime: number;
    readonly assertionResults: readonly { status: string; fullName: string; failureMessages: readonly string[] }[];
  }[];
}

function vitestReport(file: string): VitestReport | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as VitestReport) : undefined;
}

function describeReport(part: string, { testResults }: VitestReport): readonly string[] {
  const shown = (file: string) => relative(process.cwd(), file);
  const failures = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((each) => each.status === 'failed');
    if (status === 'failed' && failed.length === 0) return [`${part}: FAILED ${shown(name)}: ${message}`];
    return failed.map((each) => `${part}: FAILED ${shown(name)}: ${each.fullName}: ${each.failureMessages.join('; ')}`);
  });
  const longest = testResults
    .map(({ name, startTime, endTime }) => ({ name, seconds: Math.round((endTime - startTime) / 1000) }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 10)
    .map(({ name, seconds }) => `${part}: ${seconds} s ${shown(name)}`);
  return [...longest, ...failures.map((failure) => failure.slice(0, 1_000))];
}

function vitestCounts(file: string): Counts | undefined {
  const report = vitestReport(file);
  return report && { passed: report.numPassedTests, failed: report.numFailedTests };
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
  'endurance-sagas',
  'endurance-database',
  'endurance-agent',
  'endurance-abuse',
].map((part) => ({
  part,
  ...countsOf(part),
}));
for (const { part, passed, failed } of parts) process.stdout.write(`${part}: ${passed} passed, ${failed} failed.\n`);
for (const { part } of parts) {
  const report = vitestReport(join(directory, `${part}.json`));
  if (report !== undefined)
    process.stdout.write(
      describeReport(part, report)
        .map((line) => `${line}\n`)
        .join(''),
    );
}
const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
const failed = sum(parts.map((part) => part.failed));
process.stdout.write(`${sum(parts.map((part) => part.passed))} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
