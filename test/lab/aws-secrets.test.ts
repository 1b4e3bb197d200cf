// Secrets on the AWS half: changed by the administrator, and read by an instance with the credentials of its role, which reach no further.
import {
  AddRoleToInstanceProfileCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { DescribeInstancesCommand, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  PutSecretValueCommand,
} from '@aws-sdk/client-secrets-manager';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsClients, rightsPolicy, startTestLab, trustPolicy, until } from './support.ts';
import type { Credentials, TestLab } from './support.ts';

const account = '000000000077';
let cloud: TestLab;
let admin: ReturnType<typeof awsClients>;

beforeAll(async () => {
  cloud = await startTestLab();
  admin = awsClients(cloud);
});
afterAll(() => cloud.close());

describe('an instance with a role', () => {
  let session: Credentials;

  beforeAll(async () => {
    const { iam, ec2, secrets } = admin;
    for (const name of ['own-secret', 'other-secret'])
      await secrets.send(new CreateSecretCommand({ Name: name, SecretString: `value of ${name}` }));
    await iam.send(
      new CreateRoleCommand({
        RoleName: 'node',
        AssumeRolePolicyDocument: trustPolicy({ Service: 'ec2.amazonaws.com' }, 'sts:AssumeRole'),
      }),
    );
    const policy = rightsPolicy(
      ['secretsmanager:GetSecretValue'],
      [`arn:aws:secretsmanager:*:${account}:secret:own-secret-*`],
    );
    await iam.send(new PutRolePolicyCommand({ RoleName: 'node', PolicyName: 'espalier', PolicyDocument: policy }));
    await iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: 'node' }));
    await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: 'node', RoleName: 'node' }));
    const script = `token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/api/token")
curl -s -H "X-aws-ec2-metadata-token: $token" "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/meta-data/iam/security-credentials/node" > "$HOME/credentials.json.new"
mv "$HOME/credentials.json.new" "$HOME/credentials.json"`;
    const { Instances } = await ec2.send(
      new RunInstancesCommand({
        ImageId: 'ami-0077000000000077e',
        MinCount: 1,
        MaxCount: 1,
        IamInstanceProfile: { Name: 'node' },
        UserData: Buffer.from(script).toString('base64'),
      }),
    );
    const file = join(cloud.directory, 'i/1/root/credentials.json');
    const found = await until('the credentials', () => {
      try {
        return JSON.parse(readFileSync(file, 'utf8')) as {
          AccessKeyId: string;
          SecretAccessKey: string;
          Token: string;
        };
      } catch {
        return undefined;
      }
    });
    session = { accessKeyId: found.AccessKeyId, secretAccessKey: found.SecretAccessKey, sessionToken: found.Token };
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [Instances?.[0]?.InstanceId ?? ''] }));
  });

  test('reads its own secret', async () => {
    const { secrets } = awsClients(cloud, session);
    expect(await secrets.send(new GetSecretValueCommand({ SecretId: 'own-secret' }))).toMatchObject({
      SecretString: 'value of own-secret',
    });
  });

  test('reads no other secret, whether it exists or not, and changes none', async () => {
    const { secrets } = awsClients(cloud, session);
    const refusal = { name: 'AccessDeniedException' };
    for (const SecretId of ['other-secret', 'no-such-secret']) {
      await expect(secrets.send(new GetSecretValueCommand({ SecretId }))).rejects.toMatchObject(refusal);
    }
    await expect(
      secrets.send(new PutSecretValueCommand({ SecretId: 'own-secret', SecretString: 'x' })),
    ).rejects.toMatchObject(refusal);
    await expect(secrets.send(new ListSecretsCommand({}))).rejects.toMatchObject(refusal);
  });

  test('describes no instances, and is told so by EC2', async () => {
    const { ec2 } = awsClients(cloud, session);
    await expect(ec2.send(new DescribeInstancesCommand({}))).rejects.toMatchObject({ name: 'UnauthorizedOperation' });
  });

  test('is refused with its keys but without or with a changed session token', async () => {
    const { accessKeyId, secretAccessKey, sessionToken } = session;
    for (const wrong of [
      { accessKeyId, secretAccessKey },
      { accessKeyId, secretAccessKey, sessionToken: `${sessionToken ?? ''}A` },
    ]) {
      await expect(awsClients(cloud, wrong).sts.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
        name: 'InvalidClientTokenId',
      });
    }
  });
});

describe('secrets', () => {
  test('are described, changed and deleted by the administrator', async () => {
    const { secrets } = admin;
    await secrets.send(new CreateSecretCommand({ Name: 'short-lived', SecretString: 'one' }));
    await expect(
      secrets.send(new CreateSecretCommand({ Name: 'short-lived', SecretString: 'two' })),
    ).rejects.toMatchObject({ name: 'ResourceExistsException' });
    await secrets.send(new PutSecretValueCommand({ SecretId: 'short-lived', SecretString: 'two' }));
    expect(await secrets.send(new GetSecretValueCommand({ SecretId: 'short-lived' }))).toMatchObject({
      SecretString: 'two',
    });
    await secrets.send(new DeleteSecretCommand({ SecretId: 'short-lived', ForceDeleteWithoutRecovery: true }));
    await expect(secrets.send(new DescribeSecretCommand({ SecretId: 'short-lived' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });
});
