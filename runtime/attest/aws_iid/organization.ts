// Whether an account belongs to the organization that `verify_organization` names. The list of members is kept for a while; an account that is not on
// it has it read again, a few times within that while: a new account need not wait, and strangers do not make us ask without end.
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { deniedEvidence, undecided } from '../attest-error.ts';
import type { AttestLog } from '../attestor.ts';
import { PluginConfigError } from '../plugin-config.ts';
import type { CredentialSources } from './credentials.ts';
import { createListAccounts } from './list-accounts.ts';
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

interface Kept {
  readonly accounts: ReadonlySet<string>;
  readonly until: number;
  readonly rereads: number;
}

const maxRereads = 5;
const timeoutMs = 20_000;

/** Undefined where the configuration does not ask for the check. */
export function createOrganization(config: AwsIidConfig, deps: OrganizationDeps): Organization | undefined {
  const { verify_organization: organization } = config;
  if (organization === undefined) return undefined;
  const { log, clock } = deps;
  const list = deps.listAccounts ?? listOf(organization, config, deps);
  let kept: Kept | undefined;
  let reading: Promise<Kept> | undefined;

  /** One request, however many wait; its time is its own, so that no caller who leaves takes it from the others. */
  const read = (next: (accounts: ReadonlySet<string>) => Kept): Promise<Kept> => {
    reading ??= list(AbortSignal.timeout(timeoutMs))
      .then((accounts) => (kept = next(accounts)))
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };

  const isMember = async (accountId: string): Promise<boolean> => {
    if (kept === undefined || clock() >= kept.until) {
      const { accounts } = await read((fresh) => ({
        accounts: fresh,
        until: clock() + organization.ttlMs,
        rereads: 0,
      }));
      return accounts.has(accountId);
    }
    if (kept.accounts.has(accountId)) return true;
    const { until, rereads } = kept;
    if (rereads >= maxRereads) return false;
    const { accounts } = await read((fresh) => ({ accounts: fresh, until, rereads: rereads + 1 }));
    return accounts.has(accountId);
  };

  return {
    async checkMember(accountId, signal) {
      const found = await isMember(accountId).catch((cause: unknown) => {
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
