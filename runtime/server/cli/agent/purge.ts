// `agent purge`: forgets agents whose SVIDs ended long ago and that may attest again.
import { AgentService } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { AgentMask } from '../../../../proto/gen/spire/api/types/agent.ts';
import { createClient } from '../../../rpc/client.ts';
import { CommandError, errorLine, plural, serverCommand } from '../server-command.ts';
import { formatId } from '../wire-id.ts';

const thirtyDaysMs = 30 * 24 * 3_600_000;

interface ExpiredAgent {
  readonly agent_id: string;
  readonly deleted: boolean;
  readonly error?: string;
}

export const agentPurge = serverCommand({
  name: 'agent purge',
  synopsis: 'Purge expired agents that were attested using a non-TOFU security model based on a given time',
  flags: {
    expiredFor: {
      kind: 'duration',
      default: thirtyDaysMs,
      help: "Amount of time that has passed since the agent's SVID has expired. It is used to determine which agents to purge.",
    },
    dryRun: {
      kind: 'boolean',
      help: 'Indicates that the command will not perform any action, but will print the agents that would be purged.',
    },
  },
  async run({ flags: { expiredFor, dryRun }, channel, terminal, printStruct }) {
    const client = createClient(AgentService, channel);
    const { agents } = await client
      .listAgents({
        filter: {
          byCanReattest: true,
          byAttestationType: '',
          byExpiresBefore: '',
          bySelectorMatch: undefined,
          byBanned: undefined,
        },
        outputMask: AgentMask.create({ x509svidExpiresAt: true }),
        pageSize: 0,
        pageToken: '',
      })
      .catch((cause: unknown) => {
        throw new CommandError('failed to list agents', { cause });
      });
    const expired: ExpiredAgent[] = [];
    for (const { id, x509svidExpiresAt } of agents) {
      if (Date.now() - x509svidExpiresAt * 1000 <= expiredFor) continue;
      const failure = dryRun ? undefined : await client.deleteAgent({ id }).then(noFailure, errorLine);
      expired.push({
        agent_id: formatId(id),
        deleted: !dryRun && failure === undefined,
        ...(failure === undefined ? {} : { error: failure }),
      });
    }
    printStruct({ expired_agents: expired }, () => terminal.out(formatPurge(expired, dryRun)));
  },
});

function noFailure(): undefined {
  return undefined;
}

function formatPurge(expired: readonly ExpiredAgent[], dryRun: boolean): string {
  if (expired.length === 0) return 'No agents to purge.\n';
  const found = `Found ${plural(expired.length, 'expired agent', 'expired agents')}\n\n`;
  const rows = (agents: readonly ExpiredAgent[]) =>
    agents
      .map(({ agent_id: id, error }) => row('SPIFFE ID', id) + (error === undefined ? '' : row('Error', error)))
      .join('');
  if (dryRun) return `${found}\nAgents that can be purged:\n${rows(expired)}`;
  const sections = [
    ['Agents purged:\n', expired.filter(({ deleted }) => deleted)],
    ['Agents not purged:\n', expired.filter(({ deleted }) => !deleted)],
  ] as const;
  return found + sections.map(([title, agents]) => (agents.length === 0 ? '' : title + rows(agents))).join('');
}

function row(name: string, value: string): string {
  return `${name.padEnd(18)}: ${value}\n`;
}
