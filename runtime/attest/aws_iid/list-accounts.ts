// Lists an organization's active accounts: one call of AWS Organizations, signed here, as a client library would weigh more than the call.
import * as z from 'zod';
import { readBounded } from '../bounded-body.ts';
import { roleCredentials } from './credentials.ts';
import type { CredentialSources } from './credentials.ts';
import type { ListAccounts } from './organization.ts';
import type { AwsIidConfig, OrganizationConfig } from './server-config.ts';
import { signRequest } from './sign-request.ts';

/** Organizations has one endpoint in each partition. */
const endpoints = {
  aws: { region: 'us-east-1', url: 'https://organizations.us-east-1.amazonaws.com' },
  'aws-cn': { region: 'cn-northwest-1', url: 'https://organizations.cn-northwest-1.amazonaws.com.cn' },
  'aws-us-gov': { region: 'us-gov-west-1', url: 'https://organizations.us-gov-west-1.amazonaws.com' },
} as const;

const maxPageBytes = 1024 * 1024;
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
  // As the SDKs do for the other services.
  const url = sources.env['AWS_ENDPOINT_URL_ORGANIZATIONS'] ?? sources.env['AWS_ENDPOINT_URL'] ?? usual;

  return async (signal) => {
    const keys = await credentials();
    const accounts = new Set<string>();
    let token: string | undefined;
    do {
      const body = JSON.stringify(token === undefined ? {} : { NextToken: token });
      const headers = signRequest({
        url,
        body,
        headers: {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': 'AWSOrganizationsV20161128.ListAccounts',
        },
        service: 'organizations',
        region,
        keys,
        now: new Date(),
      });
      const response = await sources.fetch(url, { method: 'POST', headers, body, redirect: 'error', signal });
      const text = await readBounded(response, maxPageBytes);
      if (!response.ok) throw new Error(`ListAccounts: status ${response.status}: ${text.slice(0, 500)}`);
      const page = pageSchema.parse(JSON.parse(text));
      for (const { Id, Status } of page.Accounts) if (Status === 'ACTIVE') accounts.add(Id);
      token = page.NextToken ?? undefined;
    } while (token !== undefined);
    return accounts;
  };
}
