import { describe, expect, test } from 'vitest';
import { checkDnsName, checkWildcardOverlap } from '../../../../runtime/server/api/dns-name.ts';

describe('a DNS name', () => {
  test.each([
    'com',
    'example.com',
    '*.example.com',
    'a-hello.com',
    'xn--ls8h.org',
    '1.example.com',
    `${'a'.repeat(63)}.com`,
  ])('%s is taken', (name) => {
    expect(() => checkDnsName(name)).not.toThrow();
  });

  test.each([
    ['', 'empty or only whitespace'],
    [' ', 'empty or only whitespace'],
    ['.', 'domain ends with dot'],
    ['example.com.', 'domain ends with dot'],
    ['*.', 'empty or only whitespace'],
    ['*', 'wildcard must be first label'],
    ['foo.*.bar', 'wildcard must be first label'],
    ['foo*.bar', 'wildcard must be first label'],
    ['*.foo.*.bar', 'too many wildcards'],
    ['*.*.bar', 'too many wildcards'],
    ['💩.com', 'name must be ascii'],
    ['еxample.com', 'name must be ascii'], // Cyrillic е
    ['-hello.com', 'idna error: invalid label "-hello"'],
    ['hello-.com', 'idna error: invalid label "hello-"'],
    ['ab--c.com', 'idna error: invalid label "ab--c"'],
    ['xn--a.com', 'idna error: invalid label "xn--a"'],
    ['Example.com', 'idna error: disallowed character in label "Example"'],
    ['a_b.com', 'idna error: disallowed character in label "a_b"'],
    ['a b.com', 'idna error: disallowed character in label "a b"'],
    ['a..com', 'idna error: empty label'],
    ['.com', 'idna error: empty label'],
    ['a\0.com', 'idna error: disallowed character in label "a\0"'],
    [`${'a'.repeat(64)}.com`, `idna error: label is longer than 63 characters: "${'a'.repeat(64)}"`],
    [Array.from({ length: 64 }, () => 'abc').join('.'), 'idna error: name is longer than 253 characters'],
  ])('%j is refused: %s', (name, message) => {
    expect(() => checkDnsName(name)).toThrow(new Error(message));
  });
});

describe('a wildcard', () => {
  test.each([
    [['example.com', '*.example.com']],
    [['*.example.com', 'foo.bar.example.com']],
    [['a.example.com', 'b.example.com']],
  ])('%j do not overlap', (names) => {
    expect(() => checkWildcardOverlap(names)).not.toThrow();
  });

  test.each([[['*.example.com', 'foo.example.com']], [['foo.example.com', 'example.com', '*.example.com']]])(
    '%j overlap',
    (names) => {
      expect(() => checkWildcardOverlap(names)).toThrow(
        'name "foo.example.com" overlaps with an existing wildcard name in the list: wildcard overlap',
      );
    },
  );
});
