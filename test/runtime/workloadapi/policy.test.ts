import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { openPeerPolicy, parsePeerPolicy } from '../../../runtime/workloadapi/policy.ts';

const policyOf = (...allow: string[]) => parsePeerPolicy(JSON.stringify({ allow }));
const admits = (pattern: string, id: string) => policyOf(pattern)(parseSpiffeId(id));

test.for([
  ['{', 'it is not JSON'],
  ['[]', 'it: Invalid input: expected object, received array'],
  ['{"allow": [1]}', 'allow.0: Invalid input: expected string, received number'],
  ['{"allow": [], "deny": []}', 'it: Unrecognized key: "deny"'],
  ['{"allow": ["https://example.org/a"]}', 'allow[0] "https://example.org/a": scheme is missing or invalid'],
  [
    '{"allow": ["spiffe://example.org"]}',
    'allow[0] "spiffe://example.org": has no path: nobody but a server CA has such an ID',
  ],
  [
    '{"allow": ["spiffe://*/a"]}',
    'allow[0] "spiffe://*/a": trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
  ],
  [
    '{"allow": ["spiffe://example.org/**/a"]}',
    'allow[0] "spiffe://example.org/**/a": "**" may only be the last segment',
  ],
  [
    '{"allow": ["spiffe://example.org/a*"]}',
    'allow[0] "spiffe://example.org/a*": path segment characters are limited to letters, numbers, dots, dashes, and underscores',
  ],
  [
    '{"allow": ["spiffe://example.org/a/../b"]}',
    'allow[0] "spiffe://example.org/a/../b": path cannot contain dot segments',
  ],
  ['{"allow": ["spiffe://example.org/a/"]}', 'allow[0] "spiffe://example.org/a/": path cannot contain empty segments'],
] as const)('refuses %s', ([text, reason]) => {
  expect(() => parsePeerPolicy(text)).toThrow(`peer policy cannot be used: ${reason} (want {"allow": ["spiffe://…"]})`);
});

test('names every fault at once', () => {
  expect(() => policyOf('a', 'spiffe://example.org/a', 'b')).toThrow(/allow\[0\] "a": .*; allow\[2\] "b": /);
});

test.for([
  ['spiffe://example.org/a/b', 'spiffe://example.org/a/b', true],
  ['spiffe://example.org/a/b', 'spiffe://example.org/a/B', false],
  ['spiffe://example.org/a/b', 'spiffe://example.com/a/b', false],
  ['spiffe://example.org/a/b', 'spiffe://example.org/a/b/c', false],
  ['spiffe://example.org/a/b', 'spiffe://example.org/a', false],
  ['spiffe://example.org/*/b', 'spiffe://example.org/a/b', true],
  ['spiffe://example.org/*/b', 'spiffe://example.org/b', false],
  ['spiffe://example.org/*/b', 'spiffe://example.org/a/a/b', false],
  ['spiffe://example.org/a/**', 'spiffe://example.org/a/b', true],
  ['spiffe://example.org/a/**', 'spiffe://example.org/a/b/c/d', true],
  ['spiffe://example.org/a/**', 'spiffe://example.org/a', false],
  ['spiffe://example.org/a/**', 'spiffe://example.org/ab/c', false],
  ['spiffe://example.org/**', 'spiffe://example.org', false],
  ['spiffe://example.org/**', 'spiffe://example.org/a', true],
] as const)('%s admits %s: %s', ([pattern, id, admitted]) => {
  expect(admits(pattern, id)).toBe(admitted);
});

test('a policy that lists nobody admits nobody', () => {
  expect(policyOf()(parseSpiffeId('spiffe://example.org/a'))).toBe(false);
});

test('a changed file is followed, and a broken one changes nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'policy-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'peers.json');
  const allow = (...ids: string[]) => writeFileSync(path, JSON.stringify({ allow: ids }));
  const errors: string[] = [];
  const log = { warn: () => undefined, error: (_: object, message?: string) => void errors.push(message ?? '') };
  const [a, b] = [parseSpiffeId('spiffe://example.org/a'), parseSpiffeId('spiffe://example.org/b')];

  allow('spiffe://example.org/a');
  const { authorize, close } = openPeerPolicy({ path, log, intervalMs: 10 });
  onTestFinished(close);
  expect([authorize(a), authorize(b)]).toEqual([true, false]);
  allow('spiffe://example.org/b', 'spiffe://example.org/longer');
  await expect.poll(() => [authorize(a), authorize(b)]).toEqual([false, true]);
  writeFileSync(path, 'broken');
  await expect.poll(() => errors).toContain('peer policy not reloaded; going on with the one before');
  expect([authorize(a), authorize(b)]).toEqual([false, true]);
  rmSync(path);
  await expect.poll(() => errors.length).toBeGreaterThan(1);
  expect([authorize(a), authorize(b)]).toEqual([false, true]);
});

test('a file that is not there is refused at the start', () => {
  expect(() => openPeerPolicy({ path: '/nowhere/peers.json' })).toThrow('ENOENT');
});
