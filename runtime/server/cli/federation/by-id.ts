// `federation delete` and `federation refresh`, by the trust domain's ID.
import { TrustDomainService } from '../../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import type { FlagSpecs } from '../../../cli/flags.ts';
import { createClient } from '../../../rpc/client.ts';
import { RpcError, statusCode } from '../../../rpc/status.ts';
import { CommandError, serverCommand } from '../server-command.ts';

const idFlag = {
  id: { kind: 'string', default: '', help: 'SPIFFE ID of the trust domain' },
} as const satisfies FlagSpecs;

export const federationDelete = serverCommand({
  name: 'federation delete',
  synopsis: 'Deletes a dynamic federation relationship',
  flags: idFlag,
  async run({ flags: { id }, channel, terminal, print }) {
    if (id === '') throw new CommandError('id is required');
    const client = createClient(TrustDomainService, channel);
    const failure = 'failed to delete federation relationship';
    const response = await client.batchDeleteFederationRelationship({ trustDomains: [id] }).catch((cause: unknown) => {
      throw new CommandError(failure, { cause });
    });
    print(response, () => {
      const [result] = response.results;
      if (result?.status?.code !== 0)
        throw new CommandError(
          `${failure} ${JSON.stringify(result?.trustDomain ?? id)}: ${result?.status?.message ?? ''}`,
        );
      terminal.out('federation relationship deleted.\n');
    });
  },
});

export const federationRefresh = serverCommand({
  name: 'federation refresh',
  synopsis: 'Refreshes the bundle from the specified federated trust domain',
  flags: idFlag,
  async run({ flags: { id }, channel, terminal, print }) {
    if (id === '') throw new CommandError('id is required');
    const client = createClient(TrustDomainService, channel);
    await client.refreshBundle({ trustDomain: id }).catch((cause: unknown) => {
      if (cause instanceof RpcError && cause.code === statusCode.NOT_FOUND)
        throw new CommandError(`there is no federation relationship with trust domain ${JSON.stringify(id)}`);
      throw new CommandError('failed to refresh bundle', { cause });
    });
    print({ code: 0, message: 'OK' }, () => terminal.out('Bundle refreshed\n'));
  },
});
