// `token generate`: a join token, and the name that its owner gets besides.
import { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { createClient } from '../../rpc/client.ts';
import { checkInt32 } from './int32.ts';
import { serverCommand } from './server-command.ts';
import { parseId } from './wire-id.ts';

export const tokenGenerate = serverCommand({
  name: 'token generate',
  usageName: 'generate',
  synopsis: 'Generates a join token',
  flags: {
    ttl: { kind: 'number', default: 600, help: 'Token TTL in seconds' },
    spiffeID: { kind: 'string', default: '', help: 'Additional SPIFFE ID to assign the token owner (optional)' },
  },
  async run({ flags: { ttl, spiffeID }, channel, terminal, print }) {
    const agentId = spiffeID === '' ? undefined : parseId(spiffeID);
    checkInt32('TTL', ttl);
    const token = await createClient(AgentService, channel).createJoinToken({ ttl, token: '', agentId });
    print(token, () => {
      terminal.out(`Token: ${token.value}\n`);
      if (spiffeID === '') terminal.out('Warning: Missing SPIFFE ID.\n');
    });
  },
});
