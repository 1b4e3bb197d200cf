// `federation create` and `federation update`: relationships by flags, or from a file.
import { TrustDomainService } from '../../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import { createClient } from '../../../rpc/client.ts';
import { CommandError, serverCommand } from '../server-command.ts';
import { printResults } from './print-relationship.ts';
import { parseRelationshipFlags, relationshipFlags } from './relationship-flags.ts';

export const federationCreate = serverCommand({
  name: 'federation create',
  synopsis: 'Creates a dynamic federation relationship with a foreign trust domain',
  flags: relationshipFlags,
  async run({ flags, channel, terminal, print }) {
    const federationRelationships = parseRelationshipFlags(flags, terminal);
    const client = createClient(TrustDomainService, channel);
    const response = await request(() =>
      client.batchCreateFederationRelationship({ federationRelationships, outputMask: undefined }),
    );
    print(response, () => printResults('create', response.results, federationRelationships, terminal));
  },
});

export const federationUpdate = serverCommand({
  name: 'federation update',
  synopsis: 'Updates a dynamic federation relationship with a foreign trust domain',
  flags: relationshipFlags,
  async run({ flags, channel, terminal, print }) {
    const federationRelationships = parseRelationshipFlags(flags, terminal);
    const client = createClient(TrustDomainService, channel);
    const masks = { inputMask: undefined, outputMask: undefined };
    const response = await request(() =>
      client.batchUpdateFederationRelationship({ federationRelationships, ...masks }),
    );
    print(response, () => printResults('update', response.results, federationRelationships, terminal));
  },
});

async function request<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new CommandError('request failed', { cause });
  }
}
