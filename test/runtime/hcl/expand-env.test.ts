// `-expandEnv`: the expected values are what Go's os.Expand gives for the same environment.
import { describe, expect, it } from 'vitest';
import { expandEnv } from '../../../runtime/hcl/expand-env.ts';

const env = { A: '1', B_2: '2', EMPTY: '', NESTED: '$A', 'odd name': 'x', UNSET: undefined };

describe('expandEnv', () => {
  it.each([
    ['$A', '1'],
    ['${A}', '1'],
    ['a$A-b', 'a1-b'],
    ['$A$B_2', '12'],
    ['${A}B_2', '1B_2'],
    ['$A.x', '1.x'],
    ['x = "${B_2}" # $A', 'x = "2" # 1'],
    ['${odd name}', 'x'],
    // One pass only: a variable cannot bring in another.
    ['$NESTED', '$A'],
    ['$EMPTY', ''],
    ['$UNSET', ''],
    ['$NOPE|', '|'],
    ['${NOPE}|', '|'],
    ['$toString|${__proto__}|', '||'],
    ['${}|', '|'],
    ['${A', 'A'],
    ['$$A', 'A'],
    ['$1A', 'A'],
    ['$', '$'],
    ['a$', 'a$'],
    ['$ A', '$ A'],
    ['$é', '$é'],
    ['$.', '$.'],
    ['', ''],
  ])('makes %j %j', (text, expected) => {
    expect(expandEnv(text, env)).toBe(expected);
  });
});
