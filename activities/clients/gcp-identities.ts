// Service accounts for one trust domain: one for each kind of instance, so that each reads its own secret and nothing else.
import type { CloudClient, CloudResource } from '../cloud.ts';
import { stem } from '../cloud.ts';
import { failure } from '../failures.ts';
import type { InstanceRole } from '../plan.ts';
import { accountId } from '../spec/resource-names.ts';
import { unlessAbsent, unlessPresent } from './gcp-errors.ts';
import { allowReading } from './gcp-policy.ts';
import { createRequest } from './gcp-rest.ts';
import type { GcpSettings } from './gcp-rest.ts';

type Identities = Pick<
  CloudClient,
  'ensureInstanceIdentity' | 'removeInstanceIdentity' | 'ensureFederatedRole' | 'removeFederatedRole'
> & {
  listIdentities(trustDomain: string): Promise<CloudResource[]>;
  /** What the accounts say that they are for: their ids are digests. */
  listRoles(trustDomain: string): Promise<string[]>;
};

interface ServiceAccount {
  readonly email: string;
  readonly displayName?: string;
}

/** Account ids have at most 30 characters, roles may be longer: hence a digest. */
export function accountEmail(project: string, trustDomain: string, role: InstanceRole): string {
  return `${accountId(trustDomain, role)}@${project}.iam.gserviceaccount.com`;
}

export function createGcpIdentities(settings: GcpSettings): Identities {
  const iam = createRequest(settings, 'iam');
  const secretManager = createRequest(settings, 'secretmanager');
  const accounts = `/v1/projects/${settings.project}/serviceAccounts`;

  return {
    async ensureInstanceIdentity({ trustDomain, role, rights }) {
      const email = accountEmail(settings.project, trustDomain, role);
      await unlessPresent(() =>
        iam('POST', accounts, {
          accountId: accountId(trustDomain, role),
          serviceAccount: { displayName: `${role} of ${trustDomain}`.slice(0, 100) },
        }),
      );
      const account = (await iam('GET', `${accounts}/${email}`)) as { uniqueId?: string };
      for (const secret of rights.secrets)
        await allowReading(secretManager, `/v1/projects/${settings.project}/secrets/${secret}`, email);
      return { reference: email, subject: account.uniqueId };
    },

    async removeInstanceIdentity({ trustDomain, role }) {
      await unlessAbsent(() => iam('DELETE', `${accounts}/${accountEmail(settings.project, trustDomain, role)}`));
    },

    async ensureFederatedRole() {
      throw failure('Unsupported', 'gcp nodes are attested by their signed tokens: no role is needed');
    },

    async removeFederatedRole() {
      // There is none: see ensureFederatedRole.
    },

    async listIdentities(trustDomain) {
      const accountsOf = await listAccounts(trustDomain);
      return accountsOf.map(({ email }) => ({ kind: 'identity', name: email, owner: undefined }));
    },

    async listRoles(trustDomain) {
      const found = await listAccounts(trustDomain);
      return found.flatMap(({ email, displayName = '' }) => {
        const role = displayName.split(' ')[0] as InstanceRole;
        // Somebody may have written another name there: the id says whether it is the role's.
        return email === accountEmail(settings.project, trustDomain, role) ? [role] : [];
      });
    },
  };

  async function listAccounts(trustDomain: string): Promise<ServiceAccount[]> {
    const found: ServiceAccount[] = [];
    let pageToken = '';
    do {
      const page = (await iam('GET', `${accounts}?pageSize=100&pageToken=${pageToken}`)) as {
        accounts?: ServiceAccount[];
        nextPageToken?: string;
      };
      found.push(...(page.accounts ?? []).filter(({ email }) => email.startsWith(`${stem(trustDomain)}-`)));
      pageToken = page.nextPageToken ?? '';
    } while (pageToken !== '');
    return found;
  }
}
