// The files of the authority above a server's own, each from a secret of its own. A successor that is put into the secrets reaches the files by itself; the
// server, which reads them again and again, takes it up once key and certificate fit.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeSecret } from './write-secret.ts';

/** The roots first and the key last: nothing is signed by what nobody could verify. */
const parts = ['bundle', 'certificate', 'key'] as const;

export interface AuthorityFiles {
  /** The value of a secret. */
  readonly secret: (name: string) => Promise<string>;
  /** What the names of the secrets begin with: `<prefix>-key` and the like. */
  readonly prefix: string;
  readonly directory: string;
}

/** Writes what is not as it should be, each file for its owner alone; says what it wrote. */
export async function writeAuthorityFiles({ secret, prefix, directory }: AuthorityFiles): Promise<string[]> {
  const values = await Promise.all(parts.map(async (part) => [part, await secret(`${prefix}-${part}`)] as const));
  const written: string[] = [];
  for (const [part, value] of values) {
    const path = join(directory, `${part}.pem`);
    if ((await readFile(path, 'utf8').catch(() => undefined)) === value) continue;
    await writeSecret(path, value);
    written.push(path);
  }
  return written;
}

export interface Following {
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** Ends with the signal. What cannot be read is told once, and tried again. */
export async function followAuthorityFiles(files: AuthorityFiles, { everyMs, signal, note }: Following): Promise<void> {
  let said = '';
  while (await passes(everyMs, signal)) {
    try {
      for (const path of await writeAuthorityFiles(files)) note(`${path} has changed`);
      said = '';
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (reason !== said) note(`the authority's secrets cannot be read, its files stay as they are: ${reason}`);
      said = reason;
    }
  }
}

/** False once the signal came. */
function passes(everyMs: number, signal: AbortSignal): Promise<boolean> {
  return sleep(everyMs, true, { signal }).catch(() => false);
}
