// Google Secret Manager for one trust domain. Values go in and are never read back here: only instances read them, as their own account.
import type { CloudClient, CloudResource } from '../cloud.ts';
import { stem } from '../cloud.ts';
import { unlessAbsent, unlessPresent } from './gcp-errors.ts';
import { createRequest } from './gcp-rest.ts';
import type { GcpSettings } from './gcp-rest.ts';

type Secrets = Pick<CloudClient, 'hasSecret' | 'writeSecret' | 'removeSecret'> & {
  listSecrets(trustDomain: string): Promise<CloudResource[]>;
};

export function createGcpSecrets(settings: GcpSettings): Secrets {
  const request = createRequest(settings, 'secretmanager');
  const secrets = `/v1/projects/${settings.project}/secrets`;

  return {
    async hasSecret({ name }) {
      // A secret without a version is one whose writing was cut short.
      return (await unlessAbsent(() => request('GET', `${secrets}/${name}/versions/latest`))) !== undefined;
    },
    async writeSecret({ name, value }) {
      await unlessPresent(() => request('POST', `${secrets}?secretId=${name}`, { replication: { automatic: {} } }));
      await request('POST', `${secrets}/${name}:addVersion`, {
        payload: { data: Buffer.from(value).toString('base64') },
      });
    },
    async removeSecret({ name }) {
      await unlessAbsent(() => request('DELETE', `${secrets}/${name}`));
    },
    async listSecrets(trustDomain) {
      const found: CloudResource[] = [];
      let pageToken = '';
      do {
        const page = (await request('GET', `${secrets}?pageSize=100&pageToken=${pageToken}`)) as {
          secrets?: { name: string }[];
          nextPageToken?: string;
        };
        const names = (page.secrets ?? []).map(({ name }) => name.slice(name.lastIndexOf('/') + 1));
        const own = names.filter((name) => name.startsWith(`${stem(trustDomain)}-`));
        found.push(...own.map((name) => ({ kind: 'secret' as const, name, owner: undefined })));
        pageToken = page.nextPageToken ?? '';
      } while (pageToken !== '');
      return found;
    },
  };
}
