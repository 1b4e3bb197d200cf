// `entry show`: one entry by its id, or all that the filter leaves, sorted by SPIFFE ID.
import { EntryService } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { ListEntriesRequest_Filter } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { Entry } from '../../../../proto/gen/spire/api/types/entry.ts';
import type { RpcChannel } from '../../../rpc/client.ts';
import { createClient } from '../../../rpc/client.ts';
import { sortSelectors } from '../../../spiffe/selector.ts';
import { CommandError, plural, serverCommand } from '../server-command.ts';
import { formatId } from '../wire-id.ts';
import { filterFlags, parseFilterFlags } from './filter.ts';
import { formatEntry } from './print-entry.ts';

const pageSize = 500;

export const entryShow = serverCommand({
  name: 'entry show',
  synopsis: 'Displays configured registration entries',
  flags: {
    entryID: { kind: 'string', default: '', help: 'The Entry ID of the records to show' },
    ...filterFlags('show'),
  },
  async run({ flags, channel, terminal, print }) {
    const { entryID, parentID, spiffeID, selector } = flags;
    if (entryID !== '' && (parentID !== '' || spiffeID !== '' || selector.length > 0)) {
      throw new CommandError("the -entryID flag can't be combined with others");
    }
    const found =
      entryID === '' ? await listEntries(channel, parseFilterFlags(flags)) : [await getEntry(channel, entryID)];
    const entries = found
      .map((entry) => ({ ...entry, selectors: sortSelectors(entry.selectors) }))
      .sort(compareEntries);
    print({ entries, nextPageToken: '' }, () => {
      terminal.out(`Found ${plural(entries.length, 'entry', 'entries')}\n`);
      for (const entry of entries) terminal.out(formatEntry(entry));
    });
  },
});

async function getEntry(channel: RpcChannel, id: string): Promise<Entry> {
  try {
    return await createClient(EntryService, channel).getEntry({ id, outputMask: undefined });
  } catch (cause) {
    throw new CommandError(`error fetching entry ID ${id}`, { cause });
  }
}

async function listEntries(channel: RpcChannel, filter: ListEntriesRequest_Filter): Promise<Entry[]> {
  const client = createClient(EntryService, channel);
  const entries: Entry[] = [];
  let pageToken = '';
  do {
    const page = await listPage(() => client.listEntries({ filter, pageSize, pageToken, outputMask: undefined }));
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return entries;
}

async function listPage<T>(list: () => Promise<T>): Promise<T> {
  try {
    return await list();
  } catch (cause) {
    throw new CommandError('error fetching entries', { cause });
  }
}

function compareEntries(a: Entry, b: Entry): number {
  const keys = [a, b].map(({ spiffeId, parentId }) => `${formatId(spiffeId)} ${formatId(parentId)}`) as [
    string,
    string,
  ];
  if (keys[0] !== keys[1]) return keys[0] < keys[1] ? -1 : 1;
  return a.x509SvidTtl - b.x509SvidTtl || a.jwtSvidTtl - b.jwtSvidTtl || a.selectors.length - b.selectors.length;
}
