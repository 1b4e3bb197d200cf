// The workflow bundle: made once for each state of the sources, by several processes at the same time if need be.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { ensureWorkflowBundle } from '../../../workers/pack/workflow-bundle.ts';

const root = mkdtempSync(join(tmpdir(), 'bundle-'));
const directory = join(root, '.espalier/workflow-bundle');
afterAll(() => rmSync(root, { recursive: true, force: true }));

it('leaves what another process makes of the same sources, and takes away what was made of others', async () => {
  mkdirSync(join(root, 'workflows'));
  mkdirSync(join(root, 'runtime/spiffe'), { recursive: true });
  writeFileSync(join(root, 'package-lock.json'), '{}\n');
  symlinkSync(join(import.meta.dirname, '../../../node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'workflows/index.ts'), 'export async function first(): Promise<void> {}\n');
  const first = await ensureWorkflowBundle(root);
  rmSync(first.codePath);
  const unfinished = `${first.codePath}.4242`;
  writeFileSync(unfinished, 'half of it');
  expect(await ensureWorkflowBundle(root)).toEqual(first);
  expect([existsSync(first.codePath), existsSync(unfinished)]).toEqual([true, true]);

  writeFileSync(join(root, 'workflows/index.ts'), 'export async function second(): Promise<void> {}\n');
  const second = await ensureWorkflowBundle(root);
  expect(second.codePath).not.toBe(first.codePath);
  expect(readdirSync(directory)).toEqual([basename(second.codePath)]);
});
