// What programs read: certificate, key, bundle and tokens as files. Each is replaced as a whole, with exactly its mode, so that no reader ever sees
// half of one; of one update, everything is written before anything is put in place.
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface OutputFile {
  readonly name: string;
  readonly content: string;
  readonly mode: number;
}

/** In the order given; whatever fails before the first is in place leaves all of them as they were. */
export async function replaceFiles(directory: string, files: readonly OutputFile[]): Promise<void> {
  const suffix = `.${randomBytes(6).toString('hex')}.tmp`;
  const moves = files.map(({ name }) => ({ from: join(directory, name + suffix), to: join(directory, name) }));
  try {
    for (const [index, { content, mode }] of files.entries()) await writeNew(moves[index]?.from ?? '', content, mode);
    for (const { from, to } of moves) await rename(from, to);
  } catch (error) {
    await Promise.all(moves.map(({ from }) => rm(from, { force: true })));
    throw error;
  }
}

/** The mode is exact, whatever the umask. */
async function writeNew(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}
