// Agent half of gcp_iit: the instance identity token that the metadata server signs, sent as it is.
import * as z from 'zod';
import { AttestError, invalidEvidence } from '../attest-error.ts';
import type { AgentAttestor, AgentAttestorDeps } from '../attestor.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig } from '../plugin-config.ts';
import { createMetadataServer, fetchIdentityToken, metadataHost } from './metadata-server.ts';
import { tokenAudience } from './identity-token.ts';

const configSchema = z.strictObject({
  identity_token_host: z.string().min(1).optional(),
  service_account: z.string().min(1).default('default'),
});

export function createGcpIitAgentAttestor(data: PluginData, deps: AgentAttestorDeps): AgentAttestor {
  const config = parsePluginConfig('NodeAttestor "gcp_iit"', configSchema, data);
  const { fetch = globalThis.fetch, env = process.env } = deps;
  const server = createMetadataServer({ host: config.identity_token_host ?? metadataHost(env), fetch });
  return {
    type: 'gcp_iit',
    isTrustedOnFirstUse: true,
    async payload() {
      try {
        return new TextEncoder().encode(await fetchIdentityToken(server, tokenAudience, config.service_account));
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new AttestError(
          'INTERNAL',
          'EVIDENCE_UNAVAILABLE',
          `unable to retrieve valid identity token: ${reason}`,
          { cause },
        );
      }
    },
    respond: async () => {
      throw invalidEvidence('CHALLENGE_UNEXPECTED', 'server challenged gcp_iit, which has no challenge');
    },
  };
}
