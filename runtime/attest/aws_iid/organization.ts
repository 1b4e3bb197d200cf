// Whether an account belongs to the organization that `verify_organization` names, by a list from AWS or from a file.
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { deniedEvidence, undecided } from '../attest-error.ts';
import type { AttestLog } from '../attestor.ts';
import { PluginConfigError } from '../plugin-config.ts';
import type { CredentialSources } from './credentials.ts';
import { createListAccounts } from './list-accounts.ts';
import { createMemberList } from './member-list.ts';
import { awsIidPlugin } from './server-config.ts';
import type { AwsIidConfig, OrganizationConfig } from './server-config.ts';

/** IDs of the active accounts. */
export type ListAccounts = (signal: AbortSignal) => Promise<ReadonlySet<string>>;

export interface Organization {
  /** Throws where the account is no active member, and where nobody can say. */
  checkMember(accountId: string, signal: AbortSignal): Promise<void>;
}

export interface OrganizationDeps extends Partial<CredentialSources> {
  readonly log: AttestLog;
  readonly clock: () => number;
  readonly listAccounts?: ListAccounts;
}

/** Undefined where the configuration does not ask for the check. */
export function createOrganization(config: AwsIidConfig, deps: OrganizationDeps): Organization | undefined {
  const { verify_organization: organization } = config;
  if (organization === undefined) return undefined;
  const { log, clock } = deps;
  const list = deps.listAccounts ?? listOf(organization, config, deps);
  const members = createMemberList({ list, ttlMs: organization.ttlMs, clock });

  return {
    async checkMember(accountId, signal) {
      const found = await members.has(accountId).catch((cause: unknown) => {
        // The caller, whom nobody knows yet, learns no more than that it failed.
        log.warn({ error: cause, account_id: accountId }, 'failed to list the accounts of the organization');
        throw undecided(
          'CLOUD_UNAVAILABLE',
          `failed to verify that account ${accountId} belongs to the organization`,
          cause,
        );
      });
      signal.throwIfAborted();
      if (!found) {
        throw deniedEvidence(
          'NOT_IN_ORGANIZATION',
          `failed aws ec2 attestation, nodes account id: ${accountId} is not part of configured organization or doesn't have ACTIVE status`,
        );
      }
    },
  };
}

function listOf(organization: OrganizationConfig, config: AwsIidConfig, deps: OrganizationDeps): ListAccounts {
  if (organization.source === 'api') {
    const { fetch = globalThis.fetch, env = process.env } = deps;
    return createListAccounts(organization, config, { fetch, env });
  }
  const { file } = organization;
  try {
    loadAccountList(file); // a list that cannot be read is a fault of the configuration, not of the first node
  } catch (cause) {
    throw new PluginConfigError(awsIidPlugin, [`verify_organization.account_list_file: ${(cause as Error).message}`]);
  }
  return async () => loadAccountList(file);
}

const listSchema = z.array(z.string().regex(/^\d{12}$/));

function loadAccountList(path: string): ReadonlySet<string> {
  const accounts = listSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (!accounts.success) throw new Error(`${path} is not a JSON array of account IDs of 12 digits`);
  return new Set(accounts.data);
}
