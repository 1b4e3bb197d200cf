// The commands about one agent: `agent show`, `agent evict`, `agent ban`.
import { AgentService } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { SPIFFEID } from '../../../../proto/gen/spire/api/types/spiffeid.ts';
import type { FlagSpecs } from '../../../cli/flags.ts';
import { createClient } from '../../../rpc/client.ts';
import { CommandError, serverCommand } from '../server-command.ts';
import { parseId } from '../wire-id.ts';
import { formatAgent, formatAgentSelectors } from './print-agent.ts';

function idFlag(act: string) {
  return {
    spiffeID: { kind: 'string', default: '', help: `The SPIFFE ID of the agent to ${act} (agent identity)` },
  } as const satisfies FlagSpecs;
}

function requireId(text: string): SPIFFEID {
  if (text === '') throw new CommandError('a SPIFFE ID is required');
  return parseId(text);
}

export const agentShow = serverCommand({
  name: 'agent show',
  synopsis: 'Shows the details of an attested agent given its SPIFFE ID',
  flags: idFlag('show'),
  async run({ flags, channel, terminal, print }) {
    const id = requireId(flags.spiffeID);
    const agent = await createClient(AgentService, channel).getAgent({ id, outputMask: undefined });
    print(agent, () => {
      terminal.out('Found an attested agent given its SPIFFE ID\n\n');
      terminal.out(formatAgent(agent));
      terminal.out(formatAgentSelectors(agent));
    });
  },
});

export const agentEvict = serverCommand({
  name: 'agent evict',
  synopsis: 'Evicts an attested agent given its SPIFFE ID',
  flags: idFlag('evict'),
  async run({ flags, channel, terminal, print }) {
    const response = await createClient(AgentService, channel).deleteAgent({ id: requireId(flags.spiffeID) });
    print(response, () => terminal.out('Agent evicted successfully\n'));
  },
});

export const agentBan = serverCommand({
  name: 'agent ban',
  synopsis: 'Ban an attested agent given its SPIFFE ID',
  flags: idFlag('ban'),
  async run({ flags, channel, terminal, print }) {
    const response = await createClient(AgentService, channel).banAgent({ id: requireId(flags.spiffeID) });
    print(response, () => terminal.out('Agent banned successfully\n'));
  },
});
