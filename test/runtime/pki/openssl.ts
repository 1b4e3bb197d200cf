// The `openssl` command as a second opinion. Where the machine has none, the tests that ask it are skipped.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** Runs openssl in a directory with these files; returns what it printed, both streams together. */
export function openssl(
  args: readonly string[],
  files: Record<string, string | Uint8Array> = {},
): { ok: boolean; text: string } {
  const directory = mkdtempSync(join(tmpdir(), 'pki-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
    const { status, stdout, stderr } = spawnSync('openssl', args, {
      cwd: directory,
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { ok: status === 0, text: stdout + stderr };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
