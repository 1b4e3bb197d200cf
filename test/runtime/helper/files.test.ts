import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { replaceFiles } from '../../../runtime/helper/files.ts';

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'files-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('files have their content and exactly their mode, whatever the umask', async () => {
  const path = directory();
  const before = process.umask(0o077);
  onTestFinished(() => void process.umask(before));
  await replaceFiles(path, [
    { name: 'a', content: 'first', mode: 0o644 },
    { name: 'b', content: 'second', mode: 0o600 },
  ]);
  await replaceFiles(path, [{ name: 'a', content: 'third', mode: 0o444 }]);
  expect(readdirSync(path)).toEqual(['a', 'b']);
  expect(readFileSync(join(path, 'a'), 'utf8')).toBe('third');
  expect([statSync(join(path, 'a')).mode & 0o777, statSync(join(path, 'b')).mode & 0o777]).toEqual([0o444, 0o600]);
});

test('an update that cannot be written leaves every file as it was', async () => {
  const path = directory();
  await replaceFiles(path, [{ name: 'a', content: 'old', mode: 0o600 }]);
  const update = replaceFiles(path, [
    { name: 'a', content: 'new', mode: 0o600 },
    { name: 'nowhere/b', content: 'new', mode: 0o600 },
  ]);
  await expect(update).rejects.toThrow('ENOENT');
  expect(readdirSync(path)).toEqual(['a']);
  expect(readFileSync(join(path, 'a'), 'utf8')).toBe('old');
});

test('a reader that has the old file open goes on reading the old one', async () => {
  const path = directory();
  await replaceFiles(path, [{ name: 'a', content: 'old', mode: 0o600 }]);
  const before = statSync(join(path, 'a')).ino;
  await replaceFiles(path, [{ name: 'a', content: 'new', mode: 0o600 }]);
  expect(statSync(join(path, 'a')).ino).not.toBe(before);
});

test('a directory in the place of a file is an error, and no half-written file stays', async () => {
  const path = directory();
  mkdirSync(join(path, 'a'));
  chmodSync(path, 0o755);
  await expect(replaceFiles(path, [{ name: 'a', content: 'new', mode: 0o600 }])).rejects.toThrow();
  expect(readdirSync(path)).toEqual(['a']);
});
