// Configuration of aws_iid's server half: SPIRE's keys, and two of ours.
import * as z from 'zod';
import { block, parsePluginConfig } from '../plugin-config.ts';
import type { PluginData } from '../plugin-config.ts';
import { parseDuration } from '../../spiffe/duration.ts';
import { agentPathTemplate } from '../template-config.ts';

export const awsIidPlugin = 'NodeAttestor "aws_iid"';

const fields = ['PluginName', 'AccountID', 'Region', 'InstanceID', 'TrustDomain', 'Tags'];
const text = z.string().min(1);

const accountId = z.string().regex(/^\d{12}$/, 'must be an account ID of 12 digits');
const shortestListMs = 60_000;

/** Members of the organization: from a file, or from the API by a role in the management account. */
const organization = z
  .strictObject({
    management_account_id: accountId.optional(),
    management_account_region: text.default('us-west-2'),
    assume_org_role: text.optional(),
    org_account_map_ttl: z.string().default('3m').transform(listTtl),
    account_list_file: text.optional(),
  })
  .transform((block, context): OrganizationConfig => {
    const { management_account_id: id, assume_org_role: role, account_list_file: file } = block;
    const shared = { ttlMs: block.org_account_map_ttl };
    if (file !== undefined && id === undefined && role === undefined) return { ...shared, source: 'file', file };
    if (file === undefined && id !== undefined && role !== undefined)
      return { ...shared, source: 'api', accountId: id, role, region: block.management_account_region };
    context.addIssue('either account_list_file, or management_account_id and assume_org_role, must be set');
    return z.NEVER;
  });

export type OrganizationConfig = { readonly ttlMs: number } & (
  | { readonly source: 'file'; readonly file: string }
  | { readonly source: 'api'; readonly accountId: string; readonly role: string; readonly region: string }
);

function listTtl(value: string, context: z.RefinementCtx): number {
  try {
    const ttlMs = parseDuration(value);
    if (ttlMs >= shortestListMs) return ttlMs;
    context.addIssue('must be 1m or more');
  } catch (cause) {
    context.addIssue((cause as Error).message);
  }
  return z.NEVER;
}

const configSchema = z
  .strictObject({
    access_key_id: text.optional(),
    secret_access_key: text.optional(),
    assume_role: text.optional(),
    partition: z.enum(['aws', 'aws-cn', 'aws-us-gov']).default('aws'),
    skip_block_device: z.boolean().default(false),
    disable_instance_profile_selectors: z.boolean().default(false),
    account_ids_for_local_validation: z.array(z.string().regex(/^\d{12}$/)).default([]),
    verify_organization: block(organization).optional(),
    validate_eks_cluster_membership: block(
      z.strictObject({
        eks_cluster_names: z.array(z.string().regex(/^[0-9A-Za-z][\w-]*$/, 'must be names of EKS clusters')).min(1),
      }),
    ).optional(),
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

export function parseAwsIidConfig(data: PluginData): AwsIidConfig {
  return parsePluginConfig(awsIidPlugin, configSchema, data);
}
