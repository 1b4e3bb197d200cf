// Agent half of aws_iid.
import type { AgentAttestor, AgentAttestorDeps } from '../attestor.ts';
import type { PluginData } from '../plugin-config.ts';

export function createAwsIidAgentAttestor(_data: PluginData, _deps: AgentAttestorDeps): AgentAttestor {
  throw new Error('not there yet');
}
