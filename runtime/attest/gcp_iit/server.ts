// Server half of gcp_iit: a token that Google signed for this purpose, from a project on the list, once per instance.
import * as z from 'zod';
import { agentIdOf } from '../agent-path-template.ts';
import { deniedEvidence } from '../attest-error.ts';
import type { ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import { checkFirstUse } from '../first-use.ts';
import { checkPayload } from '../payload.ts';
import type { PluginData } from '../plugin-config.ts';
import { parsePluginConfig } from '../plugin-config.ts';
import { serviceUrl } from '../service-url.ts';
import { agentPathTemplate } from '../template-config.ts';
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

const configSchema = z.strictObject({
  projectid_allow_list: z.array(z.string().min(1)).min(1, 'projectid_allow_list is required'),
  agent_path_template: agentPathTemplate('/{{ .PluginName }}/{{ .ProjectID }}/{{ .InstanceID }}', fields),
  /** Ours: where the keys are, for a cloud that is not Google's own. */
  certificates_url: serviceUrl.default('https://www.googleapis.com/oauth2/v1/certs'),
  use_instance_metadata: z.literal(false, 'selectors from instance metadata are not supported').optional(),
});

export function createGcpIitServerAttestor(data: PluginData, deps: ServerAttestorDeps): ServerAttestor {
  const config = parsePluginConfig('NodeAttestor "gcp_iit"', configSchema, data);
  const { trustDomain, clock, log, fetch = globalThis.fetch } = deps;
  const findKey = createGoogleKeys({ url: config.certificates_url, fetch, clock });

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
      return { spiffeId, selectors: selectorsOf(identity), canReattest: false };
    },
  };
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

function selectorsOf(identity: InstanceIdentity) {
  const values = [
    `project-id:${identity.project_id}`,
    `zone:${identity.zone}`,
    `instance-name:${identity.instance_name}`,
    `sa:${identity.email}`,
  ];
  return values.map((value) => ({ type, value }));
}
