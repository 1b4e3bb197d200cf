// Agent half of gcp_iit.
import type { AgentAttestor, AgentAttestorDeps } from '../attestor.ts';
import type { PluginData } from '../plugin-config.ts';

export function createGcpIitAgentAttestor(_data: PluginData, _deps: AgentAttestorDeps): AgentAttestor {
  throw new Error('not there yet');
}
