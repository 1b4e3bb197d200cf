// Configuration of aws_iid's server half: SPIRE's keys, and two of ours.
import * as z from 'zod';
import { block, parsePluginConfig, PluginConfigError } from '../plugin-config.ts';
import type { PluginData } from '../plugin-config.ts';
import { agentPathTemplate } from '../template-config.ts';

export const awsIidPlugin = 'NodeAttestor "aws_iid"';

const fields = ['PluginName', 'AccountID', 'Region', 'InstanceID', 'TrustDomain', 'Tags'];
const text = z.string().min(1);

const configSchema = z
  .strictObject({
    access_key_id: text.optional(),
    secret_access_key: text.optional(),
    assume_role: text.optional(),
    partition: z.enum(['aws', 'aws-cn', 'aws-us-gov']).default('aws'),
    skip_block_device: z.boolean().default(false),
    disable_instance_profile_selectors: z.boolean().default(false),
    account_ids_for_local_validation: z.array(z.string().regex(/^\d{12}$/)).default([]),
    agent_path_template: agentPathTemplate(
      '/{{ .PluginName }}/{{ .AccountID }}/{{ .Region }}/{{ .InstanceID }}',
      fields,
    ),
    /** Ours: a PEM file for each region that AWS does not list, or whose certificate is another one here. */
    region_certificates: block(z.record(z.string(), text)).prefault({}),
    /** Ours: a server on GCE takes its AWS credentials for its own identity token, so no AWS key is ever copied to it. */
    web_identity: block(
      z.strictObject({ role_arn: z.string().regex(/^arn:[a-z-]+:iam::\d{12}:role\/.+$/), audience: text }),
    ).optional(),
  })
  .refine(({ access_key_id: id, secret_access_key: secret }) => (id === undefined) === (secret === undefined), {
    message: 'access_key_id and secret_access_key go together',
  })
  .refine(({ access_key_id: id, web_identity: identity }) => id === undefined || identity === undefined, {
    message: 'only one of access_key_id and web_identity can be configured',
  });

export type AwsIidConfig = z.output<typeof configSchema>;

/** SPIRE's two membership checks are refused rather than passed over: a check that is asked for must never be left out silently. */
const unsupported = ['verify_organization', 'validate_eks_cluster_membership'];

export function parseAwsIidConfig(data: PluginData): AwsIidConfig {
  const asked = unsupported.filter((key) => Object.hasOwn(data, key));
  if (asked.length > 0)
    throw new PluginConfigError(
      awsIidPlugin,
      asked.map((key) => `${key} is not supported`),
    );
  return parsePluginConfig(awsIidPlugin, configSchema, data);
}
