// Agent half of x509pop: shows a certificate that somebody else issued, and proves that it holds the key. Files are read at each attestation,
// so a renewed certificate needs no restart.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { certificatesFromPem } from '../../pki/pem.ts';
import { AttestError } from '../attest-error.ts';
import type { AgentAttestor } from '../attestor.ts';
import { encodeBase64, encodeJson } from '../payload.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig } from '../plugin-config.ts';
import { answerChallenge } from './possession.ts';

const configSchema = z.strictObject({
  private_key_path: z.string().min(1),
  certificate_path: z.string().min(1),
  intermediates_path: z.string().min(1).optional(),
});

type Config = z.output<typeof configSchema>;

export function createX509PopAgentAttestor(data: PluginData): AgentAttestor {
  const config = parsePluginConfig('NodeAttestor "x509pop"', configSchema, data);
  return {
    type: 'x509pop',
    payload: async () => {
      const { certificates } = await load(config);
      return encodeJson({ certificates: certificates.map(encodeBase64) });
    },
    respond: async (challenge) => answerChallenge((await load(config)).privateKey, challenge),
  };
}

async function load(config: Config): Promise<{ certificates: Uint8Array[]; privateKey: KeyObject }> {
  const {
    private_key_path: keyPath,
    certificate_path: certificatePath,
    intermediates_path: intermediatesPath,
  } = config;
  try {
    const privateKey = createPrivateKey(await readFile(keyPath));
    const certificates = certificatesFromPem(await readFile(certificatePath, 'utf8'));
    if (intermediatesPath !== undefined)
      certificates.push(...certificatesFromPem(await readFile(intermediatesPath, 'utf8')));
    const [leaf] = certificates;
    if (leaf === undefined || !new X509Certificate(leaf).checkPrivateKey(privateKey))
      throw new Error("the key is not the certificate's");
    return { certificates, privateKey };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AttestError(
      'INVALID_ARGUMENT',
      'EVIDENCE_UNAVAILABLE',
      `unable to load keypair ${certificatePath}, ${keyPath}: ${reason}`,
      { cause },
    );
  }
}
