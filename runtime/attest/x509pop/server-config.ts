// Configuration of x509pop's server half: whom it trusts, and what a caller may make it compute.
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { certificatesFromPem } from '../../pki/pem.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig, PluginConfigError } from '../plugin-config.ts';
import { agentPathTemplate } from '../template-config.ts';

export const x509PopPlugin = 'NodeAttestor "x509pop"';

const fields = [
  'PluginName',
  'Fingerprint',
  'SerialNumberHex',
  'TrustDomain',
  'SVIDPathTrimmed',
  'URISanSelectors',
  'Subject',
];
const defaultTemplates = {
  external_pki: '/{{ .PluginName }}/{{ .Fingerprint }}',
  spiffe: '/{{ .PluginName }}/{{ .SVIDPathTrimmed }}',
} as const;

const common = {
  max_intermediates: z.int().positive().default(4),
  max_rsa_key_size: z.int().positive().default(8192),
  verify_client_ip: z.boolean().default(false),
};

const externalPki = z.strictObject({
  ...common,
  mode: z.literal('external_pki').default('external_pki'),
  ca_bundle_path: z.string().min(1).optional(),
  ca_bundle_paths: z.array(z.string().min(1)).default([]),
  agent_path_template: agentPathTemplate(defaultTemplates.external_pki, fields),
});

const spiffe = z.strictObject({
  ...common,
  mode: z.literal('spiffe'),
  spiffe_prefix: z
    .string()
    .default('/spire-exchange/')
    .transform((prefix) => (prefix.endsWith('/') ? prefix : `${prefix}/`)),
  agent_path_template: agentPathTemplate(defaultTemplates.spiffe, fields),
});

export type X509PopServerConfig = (
  z.output<typeof spiffe> | Omit<z.output<typeof externalPki>, 'ca_bundle_path' | 'ca_bundle_paths'>
) & {
  /** DER; empty in mode `spiffe`, which judges by the trust domain's own bundle. */
  readonly roots: readonly Uint8Array[];
};

export function parseX509PopServerConfig(data: PluginData): X509PopServerConfig {
  if (data['mode'] === 'spiffe') return { ...parsePluginConfig(x509PopPlugin, spiffe, data), roots: [] };
  const { ca_bundle_path: path, ca_bundle_paths: paths, ...rest } = parsePluginConfig(x509PopPlugin, externalPki, data);
  if (path !== undefined && paths.length > 0) {
    throw new PluginConfigError(x509PopPlugin, [
      'only one of ca_bundle_path or ca_bundle_paths can be configured, not both',
    ]);
  }
  const all = path === undefined ? paths : [path];
  if (all.length === 0)
    throw new PluginConfigError(x509PopPlugin, ['one of ca_bundle_path or ca_bundle_paths must be configured']);
  return { ...rest, roots: all.flatMap(loadBundle) };
}

function loadBundle(path: string): Uint8Array[] {
  try {
    return certificatesFromPem(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new PluginConfigError(x509PopPlugin, [
      `unable to load trust bundle "${path}": ${cause instanceof Error ? cause.message : String(cause)}`,
    ]);
  }
}
