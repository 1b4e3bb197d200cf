// The list of rules names code and tests that exist, and no rule twice.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { rules } from './rules.ts';

const pathOf = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url));

test.each(rules)('%s', (_, code, testFile, words) => {
  expect(existsSync(pathOf(code)), code).toBe(true);
  expect(existsSync(pathOf(testFile)), testFile).toBe(true);
  expect(readFileSync(pathOf(testFile), 'utf8').includes(words), `${testFile} has no "${words}"`).toBe(true);
});

test('no rule stands twice', () => {
  const names = rules.map(([rule]) => rule);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});
