// Part of the STAND-IN for the providers: what of AWS the lab has, made by AWS' own SDK in the lab.
import * as ec2 from '@aws-sdk/client-ec2';
import * as iam from '@aws-sdk/client-iam';
import * as secretsManager from '@aws-sdk/client-secrets-manager';
import type { LabDatabase } from './database.ts';
import type { Maker, Managed } from './providers.ts';

export interface AwsLab {
  readonly endpoint: string;
  readonly account: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

type Tags = Readonly<Record<string, string>>;

export function awsMakers(lab: AwsLab, database: LabDatabase): Readonly<Record<string, Maker>> {
  const settings = (region: string) => ({
    region,
    endpoint: lab.endpoint,
    credentials: lab.credentials,
    maxAttempts: 2,
  });
  const compute = ({ fields }: Managed) => new ec2.EC2Client(settings(String(fields['region'])));
  const identity = new iam.IAMClient(settings('us-east-1'));
  return {
    'ec2.aws/SecurityGroup': {
      async ensure(managed) {
        const client = compute(managed);
        const { name, fields } = managed;
        const found = await client.send(
          new ec2.DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-name', Values: [name] }] }),
        );
        const id =
          found.SecurityGroups?.[0]?.GroupId ??
          (
            await client.send(
              new ec2.CreateSecurityGroupCommand({ GroupName: name, Description: String(fields['description']) }),
            )
          ).GroupId ??
          '';
        return { externalName: id, isReady: true, atProvider: { id } };
      },
      remove: (managed) =>
        goes(['InvalidGroup.NotFound'], ['DependencyViolation'], () =>
          compute(managed).send(new ec2.DeleteSecurityGroupCommand({ GroupId: managed.externalName })),
        ),
    },
    'ec2.aws/Instance': {
      ensure: (managed) => ensureInstance(compute(managed), managed),
      remove: (managed) => removeInstance(compute(managed), managed),
    },
    'iam.aws/Role': {
      async ensure({ externalName: name, fields }) {
        const policy = String(fields['assumeRolePolicy']);
        await unless('EntityAlreadyExistsException', () =>
          identity.send(new iam.CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: policy })),
        );
        await identity.send(new iam.UpdateAssumeRolePolicyCommand({ RoleName: name, PolicyDocument: policy }));
        const arn = `arn:aws:iam::${lab.account}:role/${name ?? ''}`;
        return { externalName: name ?? '', isReady: true, atProvider: { id: name, arn } };
      },
      remove: ({ externalName }) =>
        goes(['NoSuchEntityException'], ['DeleteConflictException'], () =>
          identity.send(new iam.DeleteRoleCommand({ RoleName: externalName })),
        ),
    },
    'iam.aws/RolePolicy': {
      async ensure(managed) {
        const [role] = await managed.select('roleSelector', 'Role');
        const document = String(managed.fields['policy']);
        await identity.send(
          new iam.PutRolePolicyCommand({ RoleName: role, PolicyName: managed.name, PolicyDocument: document }),
        );
        const id = `${role ?? ''}:${managed.name}`;
        return { externalName: id, isReady: true, atProvider: { id } };
      },
      remove({ externalName, name }) {
        const role = externalName?.split(':')[0];
        if (role === undefined) return Promise.resolve(true);
        return goes(['NoSuchEntityException'], [], () =>
          identity.send(new iam.DeleteRolePolicyCommand({ RoleName: role, PolicyName: name })),
        );
      },
    },
    'iam.aws/InstanceProfile': {
      async ensure(managed) {
        const name = managed.externalName;
        const [role] = await managed.select('roleSelector', 'Role');
        await unless('EntityAlreadyExistsException', () =>
          identity.send(new iam.CreateInstanceProfileCommand({ InstanceProfileName: name })),
        );
        await unless('LimitExceededException', () =>
          identity.send(new iam.AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: role })),
        );
        return { externalName: name ?? '', isReady: true, atProvider: { id: name } };
      },
      async remove({ externalName: name }) {
        const found = await identity
          .send(new iam.GetInstanceProfileCommand({ InstanceProfileName: name }))
          .catch(() => undefined); // gone: there is nothing to take out of it
        for (const { RoleName } of found?.InstanceProfile?.Roles ?? [])
          await identity.send(new iam.RemoveRoleFromInstanceProfileCommand({ InstanceProfileName: name, RoleName }));
        return goes(['NoSuchEntityException'], [], () =>
          identity.send(new iam.DeleteInstanceProfileCommand({ InstanceProfileName: name })),
        );
      },
    },
    'rds.aws/Instance': {
      /** RDS keeps the password that it made in Secrets Manager, under a name that nobody else may give; here it is the embedded PostgreSQL's. */
      async ensure({ fields, name }) {
        const client = new secretsManager.SecretsManagerClient(settings(String(fields['region'])));
        const { host, port, user, password } = await database.master(String(fields['username']));
        const value = JSON.stringify({ username: user, password });
        const made = await unless('ResourceExistsException', () =>
          client.send(new secretsManager.CreateSecretCommand({ Name: `rds/${name}`, SecretString: value })),
        );
        const arn =
          made?.ARN ?? (await client.send(new secretsManager.DescribeSecretCommand({ SecretId: `rds/${name}` }))).ARN;
        const atProvider = { id: name, address: host, port, masterUserSecret: [{ secretArn: arn }] };
        return { externalName: name, isReady: true, atProvider };
      },
      async remove({ fields, name }) {
        if (fields['deletionProtection'] === true) throw new Error('deletion protection is on');
        const client = new secretsManager.SecretsManagerClient(settings(String(fields['region'])));
        return goes(['ResourceNotFoundException'], [], () =>
          client.send(
            new secretsManager.DeleteSecretCommand({ SecretId: `rds/${name}`, ForceDeleteWithoutRecovery: true }),
          ),
        );
      },
    },
  };
}

async function ensureInstance(client: ec2.EC2Client, managed: Managed) {
  const { fields, object } = managed;
  const groups = await managed.select('vpcSecurityGroupIdSelector', 'SecurityGroup');
  const tags = fields['tags'] as Tags;
  const tagList = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  const found = managed.externalName === undefined ? undefined : await describe(client, managed.externalName);
  if (found === undefined) {
    const made = await client.send(
      new ec2.RunInstancesCommand({
        ClientToken: object.metadata.uid,
        ImageId: String(fields['ami']),
        InstanceType: String(fields['instanceType']) as 't3.small',
        MinCount: 1,
        MaxCount: 1,
        SecurityGroupIds: groups,
        IamInstanceProfile: { Name: String(fields['iamInstanceProfile']) },
        MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1, HttpEndpoint: 'enabled' },
        UserData: String(fields['userDataBase64']),
        TagSpecifications: [{ ResourceType: 'instance', Tags: tagList }],
      }),
    );
    const id = made.Instances?.[0]?.InstanceId ?? '';
    return { externalName: id, isReady: false, atProvider: { id, instanceState: 'pending' } };
  }
  const id = found.InstanceId ?? '';
  const actual = (found.SecurityGroups ?? []).map(({ GroupId }) => GroupId);
  if (actual.join() !== groups.join())
    await client.send(new ec2.ModifyInstanceAttributeCommand({ InstanceId: id, Groups: groups }));
  const differing = tagList.filter(({ Key, Value }) => found.Tags?.find((tag) => tag.Key === Key)?.Value !== Value);
  if (differing.length > 0) await client.send(new ec2.CreateTagsCommand({ Resources: [id], Tags: differing }));
  const state = found.State?.Name ?? 'unknown';
  const atProvider = { id, privateIp: found.PrivateIpAddress, instanceState: state };
  return { externalName: id, isReady: state === 'running', atProvider };
}

async function removeInstance(client: ec2.EC2Client, { externalName: id }: Managed): Promise<boolean> {
  const found = id === undefined ? undefined : await describe(client, id);
  if (found === undefined || id === undefined || found.State?.Name === 'terminated') return true;
  if (found.State?.Name !== 'shutting-down')
    await client.send(new ec2.TerminateInstancesCommand({ InstanceIds: [id] }));
  return false;
}

async function describe(client: ec2.EC2Client, id: string): Promise<ec2.Instance | undefined> {
  const found = await client.send(
    new ec2.DescribeInstancesCommand({ Filters: [{ Name: 'instance-id', Values: [id] }] }),
  );
  return found.Reservations?.[0]?.Instances?.[0];
}

async function unless<T>(code: string, act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (cause) {
    if ((cause as Error).name !== code) throw cause;
    return undefined;
  }
}

/** Whether it is gone: now, or before. What others still hold goes later. */
async function goes(gone: readonly string[], later: readonly string[], act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (cause) {
    const { name } = cause as Error;
    if (gone.includes(name)) return true;
    if (later.includes(name)) return false;
    throw cause;
  }
}
