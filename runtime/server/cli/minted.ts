// What both mint commands do with what they got: say that its life is shorter than asked for, and write it to files.
import { chmodSync, writeFileSync } from 'node:fs';
import { CommandError } from './server-command.ts';
import { fileError } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { formatRfc3339 } from './wire-id.ts';

/** To the millisecond, as SPIRE compares: an end in whole seconds is nearly always a little short of the TTL. */
export function warnIfCapped(what: string, expiresAt: number, ttlMs: number, terminal: Terminal): void {
  if (expiresAt * 1000 - Date.now() >= ttlMs) return;
  terminal.err(`${what} lifetime was capped shorter than specified ttl; expires "${formatRfc3339(expiresAt)}"\n`);
}

/** A file that was there before gets the mode too. */
export function writeOutput(what: string, path: string, text: string, mode: number): void {
  try {
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
  } catch (cause) {
    throw new CommandError(`unable to write ${what}`, { cause: fileError(path, cause) });
  }
}
