// `federation show` and `federation list`.
import { TrustDomainService } from '../../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import type { FederationRelationship } from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import { createClient } from '../../../rpc/client.ts';
import type { RpcChannel } from '../../../rpc/client.ts';
import { CommandError, plural, serverCommand } from '../server-command.ts';
import { formatRelationship } from './print-relationship.ts';

export const federationShow = serverCommand({
  name: 'federation show',
  synopsis: 'Shows a dynamic federation relationship',
  flags: {
    trustDomain: {
      kind: 'string',
      default: '',
      help: 'The trust domain name of the federation relationship to show',
    },
  },
  async run({ flags: { trustDomain }, channel, terminal, print }) {
    if (trustDomain === '') throw new CommandError('a trust domain name is required');
    const relationship = await fetchRelationship(channel, trustDomain);
    print(relationship, () => {
      terminal.out(`Found a federation relationship with trust domain ${trustDomain}:\n\n`);
      terminal.out(formatRelationship(relationship));
    });
  },
});

async function fetchRelationship(channel: RpcChannel, trustDomain: string): Promise<FederationRelationship> {
  const client = createClient(TrustDomainService, channel);
  try {
    return await client.getFederationRelationship({ trustDomain, outputMask: undefined });
  } catch (cause) {
    throw new CommandError('error showing federation relationship', { cause });
  }
}

const pageSize = 500;

export const federationList = serverCommand({
  name: 'federation list',
  synopsis: 'Lists all dynamic federation relationships',
  flags: {},
  async run({ channel, terminal, print }) {
    const federationRelationships = await listRelationships(channel);
    print({ federationRelationships, nextPageToken: '' }, () => {
      const { length } = federationRelationships;
      terminal.out(`Found ${plural(length, 'federation relationship', 'federation relationships')}\n`);
      for (const one of federationRelationships) terminal.out(`\n${formatRelationship(one)}`);
    });
  },
});

async function listRelationships(channel: RpcChannel): Promise<FederationRelationship[]> {
  const client = createClient(TrustDomainService, channel);
  const relationships: FederationRelationship[] = [];
  let pageToken = '';
  try {
    do {
      const page = await client.listFederationRelationships({ pageSize, pageToken, outputMask: undefined });
      relationships.push(...page.federationRelationships);
      // A server of SPIRE's gives a token until a page is empty.
      pageToken = page.federationRelationships.length === 0 ? '' : page.nextPageToken;
    } while (pageToken !== '');
  } catch (cause) {
    throw new CommandError('error listing federation relationship', { cause });
  }
  return relationships;
}
