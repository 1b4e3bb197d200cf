// `entry create`: one entry by flags, or many from a file.
import { EntryService } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import { createClient } from '../../../rpc/client.ts';
import { parseSpiffeId, serverId } from '../../../spiffe/spiffe-id.ts';
import { CommandError, serverCommand } from '../server-command.ts';
import { parseId } from '../wire-id.ts';
import { parseEntryFile } from './entry-file.ts';
import type { EntryFlagValues } from './entry-flags.ts';
import { checkTtls, entryFlags, entryOf } from './entry-flags.ts';
import { printResults } from './print-results.ts';

export const entryCreate = serverCommand({
  name: 'entry create',
  synopsis: 'Creates registration entries',
  flags: {
    ...entryFlags,
    node: { kind: 'boolean', help: 'If set, this entry will be applied to matching nodes rather than workloads' },
  },
  async run({ flags, channel, terminal, print }) {
    const entries = flags.data === '' ? [entryFromFlags(flags)] : parseEntryFile(terminal.readFile(flags.data));
    const { results } = await createClient(EntryService, channel).batchCreateEntry({ entries, outputMask: undefined });
    const response = { results: results.map((result, index) => ({ ...result, entry: shown(result, entries[index]) })) };
    print(response, () => printResults('create', response.results, terminal));
  },
});

/** The server does not send back what it did not make. */
function shown(
  result: { status?: { code: number } | undefined; entry?: Entry | undefined },
  asked: Entry | undefined,
): Entry | undefined {
  return result.status?.code === 0 ? result.entry : asked;
}

function entryFromFlags(flags: EntryFlagValues & { readonly node: boolean }): Entry {
  if (flags.selector.length === 0) throw new CommandError('at least one selector is required');
  if (flags.node && flags.federatesWith.length > 0) throw new CommandError('node entries can not federate');
  if (flags.parentID === '' && !flags.node)
    throw new CommandError('a parent ID is required if the node flag is not set');
  if (flags.spiffeID === '') throw new CommandError('a SPIFFE ID is required');
  checkTtls(flags);
  const spiffeId = parseId(flags.spiffeID);
  // A node's alias has the server itself as its parent.
  const parentId = flags.node
    ? parseId(String(serverId(parseSpiffeId(flags.spiffeID).trustDomain)))
    : parseId(flags.parentID);
  return entryOf(flags, { spiffeId, parentId });
}
