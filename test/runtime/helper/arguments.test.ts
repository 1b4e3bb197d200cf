import { expect, test } from 'vitest';
import { splitArguments } from '../../../runtime/helper/arguments.ts';

test.for([
  ['', []],
  ['a', ['a']],
  ['a b', ['a', 'b']],
  ['a  b', ['a', '', 'b']],
  ['a ', ['a', '']],
  ['"this is one argument"', ['this is one argument']],
  ['-c "echo ""hello"" there"', ['-c', 'echo "hello" there']],
  ["-c 'echo hello'", ['-c', "'echo", "hello'"]],
  ['"" b', ['', 'b']],
] as const)('splits %j', ([text, words]) => {
  expect(splitArguments(text)).toEqual(words);
});

test.for([
  ['"open', 'has a quote that is not closed'],
  ['"a"b', 'has something other than a space behind a closing quote'],
  ['a"b', 'has a quote inside an argument that does not begin with one'],
] as const)('refuses %j', ([text, reason]) => {
  expect(() => splitArguments(text)).toThrow(reason);
});
