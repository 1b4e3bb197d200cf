// The agent's own files: written so that only their owner may read them, whole or not at all, whatever the umask and whatever happens in between;
// and read with an eye on who else could have read them, or put something into them.
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StateError } from './state-error.ts';

export interface PrivateFile {
  /** Empty where the file is: a full disk leaves such files, and nothing is lost with them. */
  readonly text: string;
  readonly mayBeReadByOthers: boolean;
  readonly mayBeWrittenByOthers: boolean;
}

export type Between = (step: 'written' | 'renamed') => void;

const ownUser = (): number => process.geteuid?.() ?? 0;

export async function ensureDirectory(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode });
  } catch (cause) {
    throw inaccessible('use directory', path, cause);
  }
}

/** Undefined where there is none. Throws a StateError. */
export async function readPrivateFile(path: string): Promise<PrivateFile | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { uid, mode } = await file.stat();
    if (uid !== ownUser()) throw foreignOwner(path, uid);
    const text = await file.readFile('utf8');
    return { text, mayBeReadByOthers: (mode & 0o044) !== 0, mayBeWrittenByOthers: (mode & 0o022) !== 0 };
  } catch (error) {
    if (error instanceof StateError) throw error;
    if (isMissing(error)) return undefined;
    throw inaccessible('read', path, error);
  } finally {
    await file?.close();
  }
}

/** Throws a StateError. `between` is told of each step. */
export async function writePrivateFile(path: string, content: string, between?: Between): Promise<void> {
  try {
    await replaceFile(path, content, between);
  } catch (cause) {
    throw inaccessible('write', path, cause);
  }
}

async function replaceFile(path: string, content: string, between?: Between): Promise<void> {
  const temporary = `${path}.tmp`;
  await unlink(temporary).catch(ignoreMissing); // what a killed process left
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  between?.('written');
  await rename(temporary, path);
  between?.('renamed');
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

function inaccessible(act: string, path: string, cause: unknown): StateError {
  const way = `let user ${ownUser()}, who runs the agent, read and write it, or configure another directory`;
  return new StateError('DATA_DIRECTORY', `cannot ${act} ${path}: ${way}`, { cause });
}

function foreignOwner(path: string, uid: number): StateError {
  const own = ownUser();
  return new StateError(
    'FOREIGN_OWNER',
    `${path} belongs to user ${uid}, the agent runs as user ${own}: its owner may have changed whom the agent trusts; ` +
      `where that is known to be good, "chown ${own} ${path}", else move it away`,
  );
}
