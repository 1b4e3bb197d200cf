// Digests of source folders: what an archive or a bundle was made from, so that it is made again only when that changed.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Of every file in the folders and the files named besides, by path and content; the lock file stands for the packages. */
export function digestSources(root: string, folders: readonly string[], files: readonly string[] = []): string {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  for (const file of [...folders.flatMap((folder) => filesIn(root, folder)), ...files]) {
    hash.update(file).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

function filesIn(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => statSync(join(root, name)).isFile())
    .sort();
}
