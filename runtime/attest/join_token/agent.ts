// Agent half of join_token: the token is the whole evidence, used once.
import type { AgentAttestor, AgentAttestorDeps } from '../attestor.ts';
import { invalidEvidence } from '../attest-error.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig, PluginConfigError } from '../plugin-config.ts';
import * as z from 'zod';

const plugin = 'NodeAttestor "join_token"';

export function createJoinTokenAgentAttestor(data: PluginData, { joinToken }: AgentAttestorDeps): AgentAttestor {
  parsePluginConfig(plugin, z.strictObject({}), data);
  if (joinToken === undefined || joinToken === '') throw new PluginConfigError(plugin, ['no join token was given']);
  return {
    type: 'join_token',
    payload: async () => new TextEncoder().encode(joinToken),
    respond: async () => {
      throw invalidEvidence('CHALLENGE_UNEXPECTED', 'server challenged join_token, which has no challenge');
    },
  };
}
