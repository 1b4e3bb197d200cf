// `entry update`: the entry becomes what the flags say; a flag left out means its default, except for the attributes that have no value of their own.
import { EntryService } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import { createClient } from '../../../rpc/client.ts';
import type { RpcChannel } from '../../../rpc/client.ts';
import { CommandError, serverCommand } from '../server-command.ts';
import { parseId } from '../wire-id.ts';
import { parseEntryFile } from './entry-file.ts';
import type { EntryFlagValues } from './entry-flags.ts';
import { checkTtls, entryFlags, entryOf } from './entry-flags.ts';
import { printResults } from './print-results.ts';

export const entryUpdate = serverCommand({
  name: 'entry update',
  synopsis: 'Updates registration entries',
  flags: {
    ...entryFlags,
    entryID: { kind: 'string', default: '', help: 'The Registration Entry ID of the record to update' },
  },
  async run({ flags, channel, terminal, print }) {
    const fromFlags = async () => [await keepAttributes(entryFromFlags(flags), channel)];
    const entries = flags.data === '' ? await fromFlags() : parseEntryFile(terminal.readFile(flags.data));
    const request = { entries, inputMask: undefined, outputMask: undefined };
    const { results } = await createClient(EntryService, channel).batchUpdateEntry(request);
    const shown = results.map((result, index) => ({
      ...result,
      entry: result.status?.code === 0 ? result.entry : entries[index],
    }));
    print({ results: shown }, () => printResults('update', shown, terminal));
  },
});

function entryFromFlags(flags: EntryFlagValues): Entry {
  if (flags.entryID === '') throw new CommandError('entry ID is required');
  if (flags.selector.length === 0) throw new CommandError('at least one selector is required');
  if (flags.parentID === '') throw new CommandError('a parent ID is required');
  if (flags.spiffeID === '') throw new CommandError('a SPIFFE ID is required');
  checkTtls(flags);
  return entryOf(flags, { parentId: parseId(flags.parentID), spiffeId: parseId(flags.spiffeID) });
}

/** The flags can only set an attribute; one that the entry has and the flags do not name stays. */
async function keepAttributes(entry: Entry, channel: RpcChannel): Promise<Entry> {
  const asked = entry.additionalAttributes;
  if (asked === undefined) return entry;
  const existing = await fetchExisting(entry.id, channel);
  const kept = existing.additionalAttributes;
  const additionalAttributes = {
    disableX509SvidPrefetch: asked.disableX509SvidPrefetch || (kept?.disableX509SvidPrefetch ?? false),
    jwtSvidIncludeJti: asked.jwtSvidIncludeJti || (kept?.jwtSvidIncludeJti ?? false),
  };
  return { ...entry, additionalAttributes };
}

async function fetchExisting(id: string, channel: RpcChannel): Promise<Entry> {
  try {
    return await createClient(EntryService, channel).getEntry({ id, outputMask: undefined });
  } catch (cause) {
    throw new CommandError('failed to fetch existing entry to merge additional attributes', { cause });
  }
}
