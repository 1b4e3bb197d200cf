// Agent half of x509pop.
import type { AgentAttestor, AgentAttestorDeps } from '../attestor.ts';
import type { PluginData } from '../plugin-config.ts';

export function createX509PopAgentAttestor(_data: PluginData, _deps: AgentAttestorDeps): AgentAttestor {
  throw new Error('not there yet');
}
