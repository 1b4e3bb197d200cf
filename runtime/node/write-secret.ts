// Puts a secret where a unit reads it: a file of its owner's alone, whole or not there at all.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export async function writeSecret(path: string, value: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const half = `${path}.${process.pid}.new`;
  await rm(half, { force: true });
  await writeFile(half, value, { mode: 0o600, flag: 'wx', flush: true });
  await rename(half, path);
}
