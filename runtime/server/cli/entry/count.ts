// `entry count`.
import { EntryService } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { createClient } from '../../../rpc/client.ts';
import { plural, serverCommand } from '../server-command.ts';
import { filterFlags, parseFilterFlags } from './filter.ts';

export const entryCount = serverCommand({
  name: 'entry count',
  synopsis: 'Count registration entries',
  flags: filterFlags('count'),
  async run({ flags, channel, terminal, print }) {
    const filter = parseFilterFlags(flags);
    const response = await createClient(EntryService, channel).countEntries({ filter });
    print(response, () => terminal.out(`${plural(response.count, 'registration entry', 'registration entries')}\n`));
  },
});
