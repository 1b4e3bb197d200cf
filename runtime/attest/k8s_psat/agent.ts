// Agent half of k8s_psat: the token that Kubernetes projects into the agent's pod, sent with the name of its cluster.
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { AttestError, invalidEvidence } from '../attest-error.ts';
import type { AgentAttestor } from '../attestor.ts';
import { encodeJson } from '../payload.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig } from '../plugin-config.ts';

const configSchema = z.strictObject({
  cluster: z.string().min(1, 'must be the name of the cluster, as the server has it'),
  token_path: z.string().min(1).default('/var/run/secrets/tokens/spire-agent'),
});

export function createK8sPsatAgentAttestor(data: PluginData): AgentAttestor {
  const { cluster, token_path: path } = parsePluginConfig('NodeAttestor "k8s_psat"', configSchema, data);
  return {
    type: 'k8s_psat',
    /** Read each time: the kubelet writes a new token long before the old one ends. */
    async payload() {
      return encodeJson({ cluster, token: await loadToken(path) });
    },
    respond: async () => {
      throw invalidEvidence('CHALLENGE_UNEXPECTED', 'server challenged k8s_psat, which has no challenge');
    },
  };
}

async function loadToken(path: string): Promise<string> {
  const unavailable = (reason: string, cause?: unknown): AttestError =>
    new AttestError('INTERNAL', 'EVIDENCE_UNAVAILABLE', `unable to load token from ${path}: ${reason}`, { cause });
  const token = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw unavailable((cause as NodeJS.ErrnoException).code ?? 'not readable', cause);
  });
  if (token === '') throw unavailable('file is empty');
  return token;
}
