// Lists an organization's active accounts: one call of AWS Organizations, signed here, as a client library would weigh more than the call.
import * as z from 'zod';
import { roleCredentials } from './credentials.ts';
import type { CredentialSources } from './credentials.ts';
import type { ListAccounts } from './organization.ts';
import type { AwsIidConfig, OrganizationConfig } from './server-config.ts';
import { createAwsCall, endpointOf } from './signed-call.ts';

/** Organizations has one endpoint in each partition. */
const endpoints = {
  aws: { region: 'us-east-1', url: 'https://organizations.us-east-1.amazonaws.com' },
  'aws-cn': { region: 'cn-northwest-1', url: 'https://organizations.cn-northwest-1.amazonaws.com.cn' },
  'aws-us-gov': { region: 'us-gov-west-1', url: 'https://organizations.us-gov-west-1.amazonaws.com' },
} as const;

const pageSchema = z.object({
  Accounts: z.array(z.object({ Id: z.string(), Status: z.string().optional() })),
  NextToken: z.string().nullish(),
});

export function createListAccounts(
  organization: Extract<OrganizationConfig, { source: 'api' }>,
  config: AwsIidConfig,
  sources: CredentialSources,
): ListAccounts {
  const credentials = roleCredentials(config, organization, sources);
  const { region, url: usual } = endpoints[config.partition];
  const url = endpointOf('organizations', usual, sources);
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'AWSOrganizationsV20161128.ListAccounts',
  };

  return async (signal) => {
    const call = createAwsCall(await credentials(), sources);
    const accounts = new Set<string>();
    let token: string | undefined;
    do {
      const body = JSON.stringify(token === undefined ? {} : { NextToken: token });
      const text = await call({ service: 'organizations', region, url, method: 'POST', headers, body }, signal);
      const page = pageSchema.parse(JSON.parse(text));
      for (const { Id, Status } of page.Accounts) if (Status === 'ACTIVE') accounts.add(Id);
      token = page.NextToken ?? undefined;
    } while (token !== undefined);
    return accounts;
  };
}
