// The embedded PostgreSQL's data, where the state directory that had its password is gone.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { setAsideOrphan } from '../../../workers/up/postgres.ts';

let directory: string;
let passwordFile: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'orphan-'));
  passwordFile = join(directory, 'postgres-password');
  mkdirSync(join(directory, 'data'));
  writeFileSync(join(directory, 'data/PG_VERSION'), '18');
  writeFileSync(join(directory, 'cluster.complete'), '');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('is put aside, whole, so that a new one can be made', () => {
  const aside = setAsideOrphan(directory, passwordFile);
  expect(aside).toMatch(/data-without-password-\d+$/);
  expect(readdirSync(aside ?? '')).toEqual(['PG_VERSION']);
  expect([existsSync(join(directory, 'data')), existsSync(join(directory, 'cluster.complete'))]).toEqual([
    false,
    false,
  ]);
});

it('is left where its password is there, and where it is not whole yet', () => {
  writeFileSync(passwordFile, 'secret');
  expect(setAsideOrphan(directory, passwordFile)).toBeUndefined();
  rmSync(passwordFile);
  rmSync(join(directory, 'cluster.complete'));
  expect(setAsideOrphan(directory, passwordFile)).toBeUndefined();
  expect(existsSync(join(directory, 'data/PG_VERSION'))).toBe(true);
});
