// `agent list` and `agent count`.
import { AgentService } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { Agent } from '../../../../proto/gen/spire/api/types/agent.ts';
import { createClient } from '../../../rpc/client.ts';
import { plural, serverCommand } from '../server-command.ts';
import { agentFilterFlags, parseAgentFilterFlags } from './filter.ts';
import { formatAgent } from './print-agent.ts';

const pageSize = 1000;

export const agentList = serverCommand({
  name: 'agent list',
  synopsis: 'Lists attested agents and their SPIFFE IDs',
  flags: agentFilterFlags,
  async run({ flags, channel, terminal, print }) {
    const filter = parseAgentFilterFlags(flags);
    const client = createClient(AgentService, channel);
    const agents: Agent[] = [];
    let pageToken = '';
    do {
      const page = await client.listAgents({ filter, pageSize, pageToken, outputMask: undefined });
      agents.push(...page.agents);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    print({ agents, nextPageToken: '' }, () => {
      if (agents.length === 0) {
        terminal.out('No attested agents found\n');
        return;
      }
      terminal.out(`Found ${plural(agents.length, 'attested agent', 'attested agents')}:\n\n`);
      for (const agent of agents) terminal.out(formatAgent(agent));
    });
  },
});

export const agentCount = serverCommand({
  name: 'agent count',
  synopsis: 'Count attested agents',
  flags: agentFilterFlags,
  async run({ flags, channel, terminal, print }) {
    const filter = parseAgentFilterFlags(flags);
    const response = await createClient(AgentService, channel).countAgents({ filter });
    print(response, () => terminal.out(`${plural(response.count, 'attested agent', 'attested agents')}\n`));
  },
});
