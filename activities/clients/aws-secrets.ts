// AWS Secrets Manager for one trust domain. Its values go in and are never read back here: only instances read them, by their own role.
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { CloudClient, CloudResource, SecretName } from '../cloud.ts';
import { stem } from '../cloud.ts';
import { failure } from '../failures.ts';
import type { AwsSettings } from './aws.ts';
import { clientSettings } from './aws.ts';
import { awsErrors, errorName } from './aws-errors.ts';

type Secrets = Pick<CloudClient, 'hasSecret' | 'writeSecret' | 'removeSecret'> & {
  /** In these regions. */
  listSecrets(trustDomain: string, regions: readonly string[]): Promise<CloudResource[]>;
};

export function createAwsSecrets(settings: AwsSettings): Secrets {
  const clients = new Map<string, SecretsManagerClient>();
  const connect = async (region = settings.region) => {
    const sdk = await import('@aws-sdk/client-secrets-manager');
    const client = clients.get(region) ?? new sdk.SecretsManagerClient(clientSettings(settings, region));
    clients.set(region, client);
    return { client, sdk };
  };

  async function hasSecret({ name, region }: SecretName): Promise<boolean> {
    const { client, sdk } = await connect(region);
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
    async writeSecret({ trustDomain, name, region, value }) {
      const { client, sdk } = await connect(region);
      if (await hasSecret({ name, region })) {
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
    async removeSecret({ name, region }) {
      const { client, sdk } = await connect(region);
      if (!(await hasSecret({ name, region }))) return;
      await client.send(new sdk.DeleteSecretCommand({ SecretId: name, ForceDeleteWithoutRecovery: true }));
    },
    async listSecrets(trustDomain, regions) {
      const found = await Promise.all(
        [...new Set(regions)].map(async (region) => {
          const { client, sdk } = await connect(region);
          const names: string[] = [];
          for await (const page of sdk.paginateListSecrets({ client }, {}))
            names.push(...(page.SecretList ?? []).flatMap((secret) => secret.Name ?? []));
          return names;
        }),
      );
      return found
        .flat()
        .filter((name) => name.startsWith(`${stem(trustDomain)}-`))
        .map((name) => ({ kind: 'secret', name, owner: undefined }));
    },
  };
}

/** What RDS keeps of a database's master user, for whoever makes roles and databases there: the one secret that is read here. */
export function createMasterSecretReader(settings: AwsSettings): (arn: string, region: string) => Promise<string> {
  return async (arn, region) => {
    const sdk = await import('@aws-sdk/client-secrets-manager');
    const client = new sdk.SecretsManagerClient(clientSettings(settings, region));
    try {
      return (await client.send(new sdk.GetSecretValueCommand({ SecretId: arn }))).SecretString ?? '';
    } catch (cause) {
      // The cause itself stays here: an SDK's error carries the request, headers with credentials among it.
      throw failure(awsErrors.types[errorName(cause)] ?? 'Unavailable', `aws secret ${arn}: ${errorName(cause)}`);
    } finally {
      client.destroy();
    }
  };
}
