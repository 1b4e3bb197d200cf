// The outcome of creating or updating entries: what went well on standard output, what did not on standard error.
import type { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import type { Status } from '../../../../proto/gen/spire/api/types/status.ts';
import { goStatusName } from '../../../rpc/status.ts';
import { CommandError } from '../server-command.ts';
import type { Terminal } from '../terminal.ts';
import { formatEntry } from './print-entry.ts';

export interface EntryResult {
  readonly status?: Status | undefined;
  readonly entry?: Entry | undefined;
}

/** Throws when any failed, so that the exit code says so. */
export function printResults(act: 'create' | 'update', results: readonly EntryResult[], terminal: Terminal): void {
  const failed = results.filter(({ status }) => status?.code !== 0);
  for (const { entry } of results.filter(({ status }) => status?.code === 0)) {
    if (entry !== undefined) terminal.out(formatEntry(entry));
  }
  for (const { status, entry } of failed) {
    const reason = `(code: ${goStatusName(status?.code ?? 2)}, msg: ${JSON.stringify(status?.message ?? '')})`;
    terminal.err(`Failed to ${act} the following entry ${reason}:\n`);
    if (entry !== undefined) terminal.err(formatEntry(entry));
  }
  if (failed.length > 0) throw new CommandError(`failed to ${act} one or more entries`);
}
