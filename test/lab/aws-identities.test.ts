// Who may do what on the AWS half: signatures, roles, instance profiles, and Google's identities by token.
import {
  AddRoleToInstanceProfileCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  DeleteRoleCommand,
  GetInstanceProfileCommand,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { DescribeInstancesCommand } from '@aws-sdk/client-ec2';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { createSign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LabState } from '../../lab/state.ts';
import { awsClients, gcpRest, rightsPolicy, startTestLab, trustPolicy } from './support.ts';
import type { TestLab } from './support.ts';

const account = '000000000077';
let cloud: TestLab;
let admin: ReturnType<typeof awsClients>;

beforeAll(async () => {
  cloud = await startTestLab();
  admin = awsClients(cloud);
});
afterAll(() => cloud.close());

describe('signatures', () => {
  test('the administrator is who the credentials say', async () => {
    expect(await admin.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Account: account,
      Arn: `arn:aws:iam::${account}:root`,
    });
  });

  test('refuses another secret key', async () => {
    const { accessKeyId } = cloud.lab.description.aws.credentials;
    const forged = awsClients(cloud, { accessKeyId, secretAccessKey: 'A'.repeat(40) });
    await expect(forged.sts.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'SignatureDoesNotMatch',
    });
    await expect(forged.ec2.send(new DescribeInstancesCommand({}))).rejects.toMatchObject({
      name: 'SignatureDoesNotMatch',
    });
    await expect(forged.secrets.send(new ListSecretsCommand({}))).rejects.toMatchObject({
      name: 'SignatureDoesNotMatch',
    });
  });

  test('refuses a key that it does not know', async () => {
    const unknown = awsClients(cloud, { accessKeyId: 'AKIAAAAAAAAAAAAAAAAA', secretAccessKey: 'A'.repeat(40) });
    await expect(unknown.sts.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'InvalidClientTokenId',
    });
  });

  test('refuses a request that nobody signed', async () => {
    const response = await fetch(cloud.lab.description.endpoint, {
      method: 'POST',
      body: 'Action=GetCallerIdentity&Version=2011-06-15',
    });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('<Code>MissingAuthenticationToken</Code>');
  });

  test('refuses a region that the lab does not have', async () => {
    const elsewhere = awsClients(cloud, cloud.lab.description.aws.credentials, 'mars-north-1');
    await expect(elsewhere.ec2.send(new DescribeInstancesCommand({}))).rejects.toMatchObject({ name: 'InvalidRegion' });
  });
});

describe('roles', () => {
  test('a second of the name is refused, and one in use is not deleted', async () => {
    const AssumeRolePolicyDocument = trustPolicy({ Service: 'ec2.amazonaws.com' }, 'sts:AssumeRole');
    await admin.iam.send(new CreateRoleCommand({ RoleName: 'twice', AssumeRolePolicyDocument }));
    await expect(
      admin.iam.send(new CreateRoleCommand({ RoleName: 'twice', AssumeRolePolicyDocument })),
    ).rejects.toMatchObject({ name: 'EntityAlreadyExistsException' });
    await admin.iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: 'twice' }));
    await admin.iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: 'twice', RoleName: 'twice' }));
    await expect(
      admin.iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: 'twice', RoleName: 'twice' })),
    ).rejects.toMatchObject({ name: 'LimitExceededException' });
    await expect(admin.iam.send(new DeleteRoleCommand({ RoleName: 'twice' }))).rejects.toMatchObject({
      name: 'DeleteConflictException',
    });
    const { InstanceProfile } = await admin.iam.send(new GetInstanceProfileCommand({ InstanceProfileName: 'twice' }));
    expect(InstanceProfile?.Roles?.map(({ Arn }) => Arn)).toEqual([`arn:aws:iam::${account}:role/twice`]);
    await expect(admin.iam.send(new GetInstanceProfileCommand({ InstanceProfileName: 'none' }))).rejects.toMatchObject({
      name: 'NoSuchEntityException',
    });
  });

  test.each([
    [
      'a condition that the lab does not evaluate',
      trustPolicy({ Service: 'ec2.amazonaws.com' }, 'sts:AssumeRole', { NumericLessThan: { 'aws:x': '1' } }),
    ],
    ['a trust policy without a principal', rightsPolicy(['sts:AssumeRole'], '*')],
    ['text that is no JSON', 'not JSON'],
  ])('refuses %s', async (_what, AssumeRolePolicyDocument) => {
    await expect(
      admin.iam.send(new CreateRoleCommand({ RoleName: 'refused', AssumeRolePolicyDocument })),
    ).rejects.toMatchObject({ name: 'MalformedPolicyDocumentException' });
  });
});

describe('web identity', () => {
  let subject = '';

  beforeAll(async () => {
    const { body } = await gcpRest(cloud, 'POST', '/v1/projects/espalier-lab/serviceAccounts', {
      accountId: 'server-account',
    });
    subject = body['uniqueId'] as string;
    const condition = { StringEquals: { 'accounts.google.com:sub': subject, 'accounts.google.com:oaud': 'espalier' } };
    await admin.iam.send(
      new CreateRoleCommand({
        RoleName: 'federated',
        AssumeRolePolicyDocument: trustPolicy(
          { Federated: 'accounts.google.com' },
          'sts:AssumeRoleWithWebIdentity',
          condition,
        ),
      }),
    );
    await admin.iam.send(
      new PutRolePolicyCommand({
        RoleName: 'federated',
        PolicyName: 'describe',
        PolicyDocument: rightsPolicy(['ec2:DescribeInstances'], '*'),
      }),
    );
  });

  /** A token as the metadata server would make it, or one changed from that. */
  function token(changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string {
    const { signer } = (JSON.parse(readFileSync(join(cloud.directory, 'state.json'), 'utf8')) as LabState).gcp;
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'https://accounts.google.com',
      aud: 'espalier',
      azp: subject,
      sub: subject,
      iat: now,
      exp: now + 3600,
      ...changes,
    };
    const input = [{ alg: 'RS256', kid: signer!.keyId, typ: 'JWT', ...header }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${input}.${createSign('sha256').update(input).sign(signer!.keyPem).toString('base64url')}`;
  }

  const assume = (WebIdentityToken: string, role = 'federated') =>
    admin.sts.send(
      new AssumeRoleWithWebIdentityCommand({
        RoleArn: `arn:aws:iam::${account}:role/${role}`,
        RoleSessionName: 'server',
        WebIdentityToken,
      }),
    );

  test('gives the role and no more than the role', async () => {
    const { Credentials: found, SubjectFromWebIdentityToken } = await assume(token());
    expect(SubjectFromWebIdentityToken).toBe(subject);
    const clients = awsClients(cloud, {
      accessKeyId: found?.AccessKeyId ?? '',
      secretAccessKey: found?.SecretAccessKey ?? '',
      sessionToken: found?.SessionToken ?? '',
    });
    await clients.ec2.send(new DescribeInstancesCommand({}));
    await expect(clients.secrets.send(new ListSecretsCommand({}))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });

  test.each([
    ['another subject', { sub: '1', azp: '1' }, {}, 'AccessDenied'],
    ['another audience', { aud: 'somebody-else' }, {}, 'AccessDenied'],
    ['another issuer', { iss: 'https://accounts.example.com' }, {}, 'InvalidIdentityTokenException'],
    ['an expired token', { exp: 1 }, {}, 'ExpiredTokenException'],
    ['an unknown key', {}, { kid: 'unknown' }, 'InvalidIdentityTokenException'],
    ['no signature algorithm', {}, { alg: 'none' }, 'InvalidIdentityTokenException'],
  ])('refuses %s', async (_what, claims, header, name) => {
    await expect(assume(token(claims, header))).rejects.toMatchObject({ name });
  });

  test('refuses a changed token, a role that trusts others, and a role that does not exist', async () => {
    const [head, , signature] = token().split('.');
    const other = token({ sub: 'x' }).split('.')[1];
    await expect(assume([head, other, signature].join('.'))).rejects.toMatchObject({
      name: 'InvalidIdentityTokenException',
    });
    await expect(assume(token(), 'twice')).rejects.toMatchObject({ name: 'AccessDenied' });
    await expect(assume(token(), 'none')).rejects.toMatchObject({ name: 'AccessDenied' });
  });
});
