// Agent half of join_token: the token is the whole evidence, used once.
import type { AgentAttestor, AgentAttestorDeps } from '../attestor.ts';
import { invalidEvidence } from '../attest-error.ts';
import { PluginConfigError } from '../plugin-config-error.ts';
import type { PluginData } from '../plugin-config-error.ts';

const plugin = 'NodeAttestor "join_token"';

export function createJoinTokenAgentAttestor(data: PluginData, { joinToken }: AgentAttestorDeps): AgentAttestor {
  const unknown = Object.keys(data).map((key) => `"${key}"`);
  if (unknown.length > 0) throw new PluginConfigError(plugin, [`unknown key ${unknown.join(', ')}`]);
  if (joinToken === undefined || joinToken === '') throw new PluginConfigError(plugin, ['no join token was given']);
  return {
    type: 'join_token',
    payload: async () => new TextEncoder().encode(joinToken),
    respond: async () => {
      throw invalidEvidence('CHALLENGE_UNEXPECTED', 'server challenged join_token, which has no challenge');
    },
  };
}
