// What files are open to at most.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tightenUmask } from '../../../runtime/cli/umask.ts';

let before: number;
beforeEach(() => void (before = process.umask(0)));
afterEach(() => void process.umask(before));

it.each([
  ['is enough', 0o027, 0o027, []],
  ['is more than enough', 0o077, 0o077, []],
  ['lets everybody do everything', 0, 0o027, ['Current umask 0000 is too permissive; setting umask 0027']],
  ['takes away something else', 0o125, 0o127, ['Current umask 0125 is too permissive; setting umask 0127']],
])('a umask that %s', (_, given, wanted, said) => {
  const lines: string[] = [];
  process.umask(given);
  tightenUmask({ warn: (line) => void lines.push(line) });
  expect(process.umask(0)).toBe(wanted);
  expect(lines).toEqual(said);
});
