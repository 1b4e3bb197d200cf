// The workflows as Temporal's worker loads them, bundled once for each state of the sources: a worker that is started again is there in a second.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { digestSources } from './sources.ts';

export async function ensureWorkflowBundle(root: string): Promise<{ readonly codePath: string }> {
  const directory = join(root, '.espalier/workflow-bundle');
  const name = `${digestSources(root, ['workflows', 'runtime/spiffe'])}.js`;
  const codePath = join(directory, name);
  if (existsSync(codePath)) return { codePath };
  const { code } = await bundleWorkflowCode({ workflowsPath: join(root, 'workflows/index.ts') });
  mkdirSync(directory, { recursive: true });
  // Of another state of the sources; whoever bundles this one at the same time is left alone.
  for (const other of readdirSync(directory).filter((file) => !file.startsWith(name)))
    rmSync(join(directory, other), { force: true });
  const unfinished = `${codePath}.${process.pid}`;
  writeFileSync(unfinished, code);
  renameSync(unfinished, codePath);
  return { codePath };
}
