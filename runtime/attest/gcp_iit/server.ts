// Server half of gcp_iit: a token that Google signed for this purpose, from a project on the list, once per instance. What the token does not
// say, the Compute Engine API may.
import * as z from 'zod';
import { agentIdOf } from '../agent-path-template.ts';
import { deniedEvidence } from '../attest-error.ts';
import type { ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import { checkFirstUse } from '../first-use.ts';
import { checkPayload } from '../payload.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig, PluginConfigError } from '../plugin-config.ts';
import { serviceUrl } from '../service-url.ts';
import { agentPathTemplate } from '../template-config.ts';
import { createAccessToken, createComputeInstances, metadataSelectorValues } from './compute-instances.ts';
import type { AccessToken } from './compute-instances.ts';
import { createGoogleKeys } from './google-keys.ts';
import { verifyIdentityToken } from './identity-token.ts';
import type { InstanceIdentity } from './identity-token.ts';

const type = 'gcp_iit';
const fields = [
  'PluginName',
  'ProjectID',
  'ProjectNumber',
  'Zone',
  'InstanceID',
  'InstanceName',
  'InstanceCreationTimestamp',
  'ServiceAccount',
];

const defaultMetadataValueSize = 128;

const configSchema = z.strictObject({
  projectid_allow_list: z.array(z.string().min(1)).min(1, 'projectid_allow_list is required'),
  agent_path_template: agentPathTemplate('/{{ .PluginName }}/{{ .ProjectID }}/{{ .InstanceID }}', fields),
  /** Ours: where the keys are, for a cloud that is not Google's own. */
  certificates_url: serviceUrl.default('https://www.googleapis.com/oauth2/v1/certs'),
  use_instance_metadata: z.boolean().default(false),
  allowed_label_keys: z.array(z.string()).default([]),
  allowed_metadata_keys: z.array(z.string()).default([]),
  max_metadata_value_size: z
    .int()
    .nonnegative()
    .default(0)
    .transform((size) => (size === 0 ? defaultMetadataValueSize : size)),
  service_account_file: z.string().min(1).optional(),
  /** Ours: where the Compute Engine API is, for a cloud that is not Google's own. */
  compute_url: serviceUrl.default('https://compute.googleapis.com/compute/v1'),
});
type Config = z.output<typeof configSchema>;

const plugin = 'NodeAttestor "gcp_iit"';

/** `accessToken` is Google's library where it is left out. */
export function createGcpIitServerAttestor(
  data: PluginData,
  deps: ServerAttestorDeps & { readonly accessToken?: AccessToken },
): ServerAttestor {
  const config = parsePluginConfig(plugin, configSchema, data);
  const { trustDomain, clock, log, fetch = globalThis.fetch } = deps;
  const findKey = createGoogleKeys({ url: config.certificates_url, fetch, clock });
  const accessToken = accessTokenOf(config, deps.accessToken);
  const instances = createComputeInstances({ url: config.compute_url, accessToken, fetch, log });

  async function metadataOf(identity: InstanceIdentity, signal: AbortSignal): Promise<string[]> {
    if (!config.use_instance_metadata) return [];
    return metadataSelectorValues(await instances.find(identity, signal), {
      allowedLabelKeys: config.allowed_label_keys,
      allowedMetadataKeys: config.allowed_metadata_keys,
      maxMetadataValueSize: config.max_metadata_value_size,
    });
  }

  return {
    type,
    async attest(payload, _challenge, context) {
      checkPayload(payload);
      const identity = await verifyIdentityToken(new TextDecoder().decode(payload), findKey, clock());
      if (!config.projectid_allow_list.includes(identity.project_id)) {
        throw deniedEvidence(
          'PROJECT_NOT_ALLOWED',
          `identity token project ID "${identity.project_id}" is not in the allow list`,
        );
      }
      const spiffeId = agentIdOf(config.agent_path_template, templateValues(identity), trustDomain);
      await checkFirstUse(spiffeId, context, log);
      const values = [...tokenSelectorValues(identity), ...(await metadataOf(identity, context.signal))];
      return { spiffeId, selectors: values.map((value) => ({ type, value })), canReattest: false };
    },
  };
}

function accessTokenOf(config: Config, given: AccessToken | undefined): AccessToken {
  try {
    return given ?? createAccessToken(config.service_account_file);
  } catch (cause) {
    throw new PluginConfigError(plugin, [`service_account_file: ${(cause as Error).message}`]);
  }
}

function templateValues(identity: InstanceIdentity): Record<string, string> {
  return {
    PluginName: type,
    ProjectID: identity.project_id,
    ProjectNumber: String(identity.project_number),
    Zone: identity.zone,
    InstanceID: identity.instance_id,
    InstanceName: identity.instance_name,
    InstanceCreationTimestamp: String(identity.instance_creation_timestamp),
    ServiceAccount: identity.email.replaceAll('@', '_'),
  };
}

function tokenSelectorValues(identity: InstanceIdentity): string[] {
  return [
    `project-id:${identity.project_id}`,
    `zone:${identity.zone}`,
    `instance-name:${identity.instance_name}`,
    `sa:${identity.email}`,
  ];
}
