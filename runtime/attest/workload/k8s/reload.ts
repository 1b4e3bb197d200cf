// Files that others renew: certificates and tokens, read again when what was read is older than an interval.
import { readFile } from 'node:fs/promises';

/** What was loaded, loaded again when it is older than that. */
export async function createReload<T>(
  loadAgain: () => Promise<T>,
  intervalMs: number,
  clock: () => number,
): Promise<() => Promise<T>> {
  let loaded = { value: await loadAgain(), at: clock() };
  return async () => {
    if (clock() - loaded.at >= intervalMs) loaded = { value: await loadAgain(), at: clock() };
    return loaded.value;
  };
}

/** Throws where there is nothing to read; what is read is never quoted. */
export async function loadFile(what: string, path: string): Promise<string> {
  const content = await readFile(path, 'utf8').catch((cause: unknown) => {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'not readable';
    throw new Error(`unable to load ${what} from ${path}: ${reason}`, { cause });
  });
  if (content.trim() === '') throw new Error(`unable to load ${what} from ${path}: file is empty`);
  return content;
}
