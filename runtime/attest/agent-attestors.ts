// The agent halves of the node attestors by name. Each is loaded where it is configured: an agent keeps what it loads for as long as it runs.
import type { AgentAttestor, AgentAttestorDeps } from './attestor.ts';
import { PluginConfigError } from './plugin-config-error.ts';
import type { PluginData } from './plugin-config-error.ts';

type Create = (data: PluginData, deps: AgentAttestorDeps) => AgentAttestor;

const attestors: ReadonlyMap<string, () => Promise<Create>> = new Map(
  Object.entries({
    aws_iid: () => import('./aws_iid/agent.ts').then((method) => method.createAwsIidAgentAttestor),
    gcp_iit: () => import('./gcp_iit/agent.ts').then((method) => method.createGcpIitAgentAttestor),
    join_token: () => import('./join_token/agent.ts').then((method) => method.createJoinTokenAgentAttestor),
    k8s_psat: () => import('./k8s_psat/agent.ts').then((method) => method.createK8sPsatAgentAttestor),
    x509pop: () => import('./x509pop/agent.ts').then((method) => method.createX509PopAgentAttestor),
  }),
);

/** Names that an agent's configuration may use. */
export const agentAttestorTypes: readonly string[] = [...attestors.keys()];

/** Reads the plugin's configuration; throws PluginConfigError where it does not hold. */
export async function createAgentAttestor(
  type: string,
  data: PluginData,
  deps: AgentAttestorDeps,
): Promise<AgentAttestor> {
  const load = attestors.get(type);
  if (load === undefined) throw new PluginConfigError(`NodeAttestor "${type}"`, ['no such node attestor']);
  const create = await load();
  return create(data, deps);
}
