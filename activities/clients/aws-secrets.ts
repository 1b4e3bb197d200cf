// AWS Secrets Manager for one trust domain. Values go in and are never read back here: only instances read them, by their own role.
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { CloudClient, CloudResource } from '../cloud.ts';
import { stem } from '../cloud.ts';
import type { AwsSettings } from './aws.ts';
import { clientSettings } from './aws.ts';
import { errorName } from './aws-errors.ts';

type Secrets = Pick<CloudClient, 'hasSecret' | 'writeSecret' | 'removeSecret'> & {
  listSecrets(trustDomain: string): Promise<CloudResource[]>;
};

export function createAwsSecrets(settings: AwsSettings): Secrets {
  let connected:
    Promise<{ client: SecretsManagerClient; sdk: typeof import('@aws-sdk/client-secrets-manager') }> | undefined;
  const connect = () =>
    (connected ??= import('@aws-sdk/client-secrets-manager').then((sdk) => ({
      sdk,
      client: new sdk.SecretsManagerClient(clientSettings(settings)),
    })));

  async function hasSecret(name: string): Promise<boolean> {
    const { client, sdk } = await connect();
    try {
      await client.send(new sdk.DescribeSecretCommand({ SecretId: name }));
      return true;
    } catch (cause) {
      if (errorName(cause) === 'ResourceNotFoundException') return false;
      throw cause;
    }
  }

  return {
    hasSecret,
    async writeSecret({ trustDomain, name, value }) {
      const { client, sdk } = await connect();
      if (await hasSecret(name)) {
        await client.send(new sdk.PutSecretValueCommand({ SecretId: name, SecretString: value }));
        return;
      }
      await client.send(
        new sdk.CreateSecretCommand({
          Name: name,
          SecretString: value,
          Tags: [{ Key: 'espalier-trust-domain', Value: trustDomain }],
        }),
      );
    },
    async removeSecret(name) {
      const { client, sdk } = await connect();
      if (!(await hasSecret(name))) return;
      await client.send(new sdk.DeleteSecretCommand({ SecretId: name, ForceDeleteWithoutRecovery: true }));
    },
    async listSecrets(trustDomain) {
      const { client, sdk } = await connect();
      const names: string[] = [];
      for await (const page of sdk.paginateListSecrets({ client }, {})) {
        names.push(...(page.SecretList ?? []).flatMap((secret) => secret.Name ?? []));
      }
      return names
        .filter((name) => name.startsWith(`${stem(trustDomain)}-`))
        .map((name) => ({ kind: 'secret', name, owner: undefined }));
    },
  };
}
