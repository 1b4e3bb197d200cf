// `entry delete`: by id, or by a file `{ "ids": […] }`.
import * as z from 'zod';
import { EntryService } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { BatchDeleteEntryResponse_Result } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { createClient } from '../../../rpc/client.ts';
import { goStatusName } from '../../../rpc/status.ts';
import { CommandError, serverCommand } from '../server-command.ts';
import type { Terminal } from '../terminal.ts';

const file = z.object({ ids: z.array(z.string()) });

export const entryDelete = serverCommand({
  name: 'entry delete',
  synopsis: 'Deletes registration entries',
  flags: {
    entryID: { kind: 'string', default: '', help: 'The Registration Entry ID of the record to delete.' },
    file: {
      kind: 'string',
      default: '',
      help: "Path to a file containing a JSON structure for batch deletion (optional). If set to '-', read from stdin.",
    },
  },
  async run({ flags, channel, terminal, print }) {
    if (flags.file === '' && flags.entryID === '') throw new CommandError('an entry ID is required');
    const ids = flags.file === '' ? [flags.entryID] : file.parse(JSON.parse(terminal.readFile(flags.file))).ids;
    const response = await createClient(EntryService, channel).batchDeleteEntry({ ids });
    print(response, () => printDeleted(response.results, terminal));
  },
});

function printDeleted(results: readonly BatchDeleteEntryResponse_Result[], terminal: Terminal): void {
  const succeeded = results.filter(({ status }) => status?.code === 0);
  const failed = results.filter(({ status }) => status?.code !== 0);
  for (const { id } of succeeded) terminal.out(`Deleted entry with ID: ${id}\n`);
  if (succeeded.length > 0) terminal.out('\n\n');
  for (const { id, status } of failed) {
    const reason = `(code: ${goStatusName(status?.code ?? 2)}, msg: ${JSON.stringify(status?.message ?? '')})`;
    terminal.err(`Failed to delete entry with ID ${id} ${reason}\n`);
  }
  if (failed.length === 0) {
    terminal.out(`Deleted ${succeeded.length} entries successfully`);
    return;
  }
  terminal.out('\n\n');
  terminal.out(
    succeeded.length === 0
      ? `Failed to delete ${failed.length} entries`
      : `Deleted ${succeeded.length} entries successfully, but failed to delete ${failed.length} entries`,
  );
  throw new CommandError('failed to delete one or more entries');
}
