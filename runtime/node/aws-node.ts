// A machine on EC2. Its credentials are its instance role's, over version 2 of the metadata service: keys in the environment are not looked at.
import { createInstanceMetadata, metadataEndpoint } from '../attest/aws_iid/instance-metadata.ts';
import type { CloudNode, CloudNodeDeps } from './cloud-node.ts';

export function createAwsNode({ fetch, env }: CloudNodeDeps): CloudNode {
  const metadata = createInstanceMetadata({ endpoint: metadataEndpoint(env), fetch });
  return {
    address: () => metadata.get('meta-data/local-ipv4'),
    async secret(name) {
      const [{ GetSecretValueCommand, SecretsManagerClient }, { fromInstanceMetadata }] = await Promise.all([
        import('@aws-sdk/client-secrets-manager'),
        import('@aws-sdk/credential-providers'),
      ]);
      const credentials = fromInstanceMetadata({ ec2MetadataV1Disabled: true, timeout: 5_000, maxRetries: 3 });
      const client = new SecretsManagerClient({
        region: await metadata.get('meta-data/placement/region'),
        credentials,
      });
      const { SecretString: value } = await client.send(new GetSecretValueCommand({ SecretId: name }));
      if (value === undefined) throw new Error(`secret ${name} has no text`);
      return value;
    },
  };
}
