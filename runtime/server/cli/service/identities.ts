// `service identities`: what services gave, to which processes of which nodes, and until when. Ours.
import { ServiceIdentitiesService } from '../../../../proto/gen/espalier/service/v1/service.ts';
import type { Identity } from '../../../../proto/gen/espalier/service/v1/service.ts';
import { createClient } from '../../../rpc/client.ts';
import { plural, serverCommand } from '../server-command.ts';
import { formatId, formatTime } from '../wire-id.ts';

const pageSize = 500;

export const serviceIdentities = serverCommand({
  name: 'service identities',
  synopsis: 'Displays the identities that services gave',
  flags: { entryID: { kind: 'string', default: '', help: 'The Entry ID of one service (optional)' } },
  async run({ flags, channel, terminal, print }) {
    const client = createClient(ServiceIdentitiesService, channel);
    const identities: Identity[] = [];
    let pageToken = '';
    do {
      const page = await client.listIdentities({ templateEntryId: flags.entryID, pageSize, pageToken });
      identities.push(...page.identities);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    print({ identities, nextPageToken: '' }, () => {
      terminal.out(`Found ${plural(identities.length, 'identity', 'identities')}\n\n`);
      for (const identity of identities) terminal.out(formatIdentity(identity));
    });
  },
});

function formatIdentity({ entryId, spiffeId, agentId, distinguisher, expiresAt }: Identity): string {
  const rows = [
    ['Entry ID', entryId],
    ['SPIFFE ID', formatId(spiffeId)],
    ['Agent', formatId(agentId)],
    ['Process', distinguisher],
    ['Expiration time', formatTime(expiresAt)],
  ] as const;
  return `${rows.map(([name, value]) => `${name.padEnd(17)}: ${value}\n`).join('')}\n`;
}
