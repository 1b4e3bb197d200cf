// `service give` and `service take`: what a service asks of its agent for a process that it runs for a customer or a tenant. The command's own process
// must be attested as the service. Ours.
import { ServiceBrokerService } from '../../../proto/gen/espalier/service/v1/service.ts';
import { parseFlags } from '../../cli/flags.ts';
import { outputFlag } from '../../cli/output-flag.ts';
import { connect, createClient } from '../../rpc/client.ts';
import type { CallOptions, Client } from '../../rpc/service.ts';
import { resolveSocketPath } from './socket-path.ts';
import type { SocketChoice } from './socket-path.ts';
import { CommandError } from './terminal.ts';
import type { Command, CommandContext } from './terminal.ts';
import { apiFlags } from './workload-client.ts';

const subjectFlags = {
  ...apiFlags,
  ...outputFlag,
  service: { kind: 'string', default: '', help: 'Name of the service, where the caller is several (optional)' },
  kind: { kind: 'string', default: 'customer', help: 'customer or tenant' },
  id: { kind: 'string', default: '', help: 'ID of the customer or tenant' },
} as const;

export const serviceGiveFlags = {
  ...subjectFlags,
  pid: { kind: 'number', default: 0, help: 'The process that is to have the identity' },
} as const;

export const serviceTakeFlags = {
  ...subjectFlags,
  entryID: { kind: 'string', default: '', help: 'The entry that was made for one process (optional)' },
} as const;

export const serviceGive: Command = async (argv, context) => {
  const { values } = parseFlags(argv, serviceGiveFlags);
  if (values.pid <= 0) throw new CommandError('pid must be specified');
  const given = await withBroker(values, context, (broker, call) => broker.giveIdentity(values, call));
  const spiffeId = `spiffe://${given.spiffeId?.trustDomain ?? ''}${given.spiffeId?.path ?? ''}`;
  const ends = new Date(given.expiresAt * 1000).toISOString().replace('.000Z', 'Z');
  context.terminal.print(
    values.output === 'json'
      ? JSON.stringify({ entry_id: given.entryId, expires_at: String(given.expiresAt), spiffe_id: spiffeId })
      : `SPIFFE ID:  ${spiffeId}\nEntry ID:   ${given.entryId}\nExpires At: ${ends}`,
  );
  return 0;
};

export const serviceTake: Command = async (argv, context) => {
  const { values } = parseFlags(argv, serviceTakeFlags);
  const request = { ...values, entryId: values.entryID };
  const { withdrawn } = await withBroker(values, context, (broker, call) => broker.takeIdentity(request, call));
  context.terminal.print(
    values.output === 'json' ? JSON.stringify({ withdrawn }) : `Identities withdrawn: ${withdrawn}`,
  );
  return 0;
};

async function withBroker<T>(
  values: SocketChoice & { readonly id: string; readonly timeout: number },
  { env, signal }: CommandContext,
  use: (broker: Client<typeof ServiceBrokerService>, call: CallOptions) => Promise<T>,
): Promise<T> {
  if (values.id === '') throw new CommandError('id must be specified');
  const channel = connect({ unixPath: resolveSocketPath(values, env) });
  try {
    return await use(createClient(ServiceBrokerService, channel), {
      metadata: { 'workload.spiffe.io': 'true' },
      signal,
      deadlineMs: values.timeout,
    });
  } finally {
    channel.close();
  }
}
