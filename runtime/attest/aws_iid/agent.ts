// Agent half of aws_iid: the instance identity document and its signatures, as the metadata service gives them.
import * as z from 'zod';
import { AttestError, invalidEvidence } from '../attest-error.ts';
import type { AgentAttestor, AgentAttestorDeps } from '../attestor.ts';
import { encodeJson } from '../payload.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig } from '../plugin-config.ts';
import { createInstanceMetadata, metadataEndpoint } from './instance-metadata.ts';

const configSchema = z.strictObject({ ec2_metadata_endpoint: z.string().min(1).optional() });

const directory = 'dynamic/instance-identity';

export function createAwsIidAgentAttestor(data: PluginData, deps: AgentAttestorDeps): AgentAttestor {
  const config = parsePluginConfig('NodeAttestor "aws_iid"', configSchema, data);
  const { fetch = globalThis.fetch, env = process.env } = deps;
  const metadata = createInstanceMetadata({ endpoint: config.ec2_metadata_endpoint ?? metadataEndpoint(env), fetch });
  return {
    type: 'aws_iid',
    isTrustedOnFirstUse: true,
    async payload() {
      try {
        const document = await metadata.get(`${directory}/document`);
        // Only older servers look at the RSA-1024 signature, and not every metadata service still has it.
        const signature = await metadata.find(`${directory}/signature`);
        const rsa2048 = await metadata.get(`${directory}/rsa2048`);
        return encodeJson({ document, signature: signature ?? '', rsa2048 });
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new AttestError(
          'INTERNAL',
          'EVIDENCE_UNAVAILABLE',
          `unable to read the instance identity document: ${reason}`,
          { cause },
        );
      }
    },
    respond: async () => {
      throw invalidEvidence('CHALLENGE_UNEXPECTED', 'server challenged aws_iid, which has no challenge');
    },
  };
}
