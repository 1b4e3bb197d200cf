// The agent halves of the node attestors by name.
import type { AgentAttestor, AgentAttestorDeps } from './attestor.ts';
import { createAwsIidAgentAttestor } from './aws_iid/agent.ts';
import { createGcpIitAgentAttestor } from './gcp_iit/agent.ts';
import { createJoinTokenAgentAttestor } from './join_token/agent.ts';
import type { PluginData } from './plugin-config.ts';
import { PluginConfigError } from './plugin-config.ts';
import { createX509PopAgentAttestor } from './x509pop/agent.ts';

type Create = (data: PluginData, deps: AgentAttestorDeps) => AgentAttestor;

const attestors: ReadonlyMap<string, Create> = new Map(
  Object.entries({
    aws_iid: createAwsIidAgentAttestor,
    gcp_iit: createGcpIitAgentAttestor,
    join_token: createJoinTokenAgentAttestor,
    x509pop: createX509PopAgentAttestor,
  }),
);

/** Names that an agent's configuration may use. */
export const agentAttestorTypes: readonly string[] = [...attestors.keys()];

/** Reads the plugin's configuration; throws PluginConfigError where it does not hold. */
export function createAgentAttestor(type: string, data: PluginData, deps: AgentAttestorDeps): AgentAttestor {
  const create = attestors.get(type);
  if (create === undefined) throw new PluginConfigError(`NodeAttestor "${type}"`, ['no such node attestor']);
  return create(data, deps);
}
