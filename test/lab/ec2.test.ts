// EC2's actions on instances and security groups, asked by AWS's own client.
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DeleteSecurityGroupCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  RebootInstancesCommand,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  paginateDescribeInstances,
  waitUntilInstanceTerminated,
} from '@aws-sdk/client-ec2';
import type { RunInstancesCommandInput } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { awsClients, startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

let cloud: TestLab;
let ec2: ReturnType<typeof awsClients>['ec2'];

beforeAll(async () => {
  cloud = await startTestLab();
  ({ ec2 } = awsClients(cloud));
});
afterAll(() => cloud.close());

async function run(input: Partial<RunInstancesCommandInput> = {}) {
  const { Instances } = await ec2.send(
    new RunInstancesCommand({ ImageId: 'ami-0077000000000077e', MinCount: 1, MaxCount: 1, ...input }),
  );
  return Instances![0]!;
}

async function describeInstance(id: string) {
  const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return Reservations![0]!.Instances![0]!;
}

const tagged = (value: string) => ({
  TagSpecifications: [{ ResourceType: 'instance' as const, Tags: [{ Key: 'team', Value: value }] }],
});

describe('instances', () => {
  test('are pending, then running, with an address, a disk and an interface attached at one time, and the metadata options asked for', async () => {
    const started = await run({
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 2, HttpEndpoint: 'enabled' },
    });
    expect(started.State?.Name).toBe('pending');
    const id = started.InstanceId!;
    await until('running', async () => ((await describeInstance(id)).State?.Name === 'running' ? true : undefined));
    const instance = await describeInstance(id);
    expect(instance.PrivateIpAddress).toMatch(/^127\.\d+\.1\.\d+$/);
    expect(instance.MetadataOptions).toMatchObject({ HttpTokens: 'required', HttpPutResponseHopLimit: 2 });
    const disk = instance.BlockDeviceMappings![0]!.Ebs!.AttachTime!;
    const attachment = instance.NetworkInterfaces![0]!.Attachment!;
    expect(attachment.DeviceIndex).toBe(0);
    expect(attachment.AttachTime).toEqual(disk);
  });

  test('a start after a stop is a new launch of the same instance with the same disk, a reboot is none', async () => {
    const { InstanceId: id = '' } = await run();
    const reach = (state: string) =>
      until(state, async () => ((await describeInstance(id)).State?.Name === state ? true : undefined));
    await reach('running');
    const first = await describeInstance(id);
    await ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    expect((await describeInstance(id)).LaunchTime).toEqual(first.LaunchTime);
    await ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
    await reach('stopped');
    await until('another second', () => (Date.now() >= first.LaunchTime!.getTime() + 1_000 ? true : undefined));
    await ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
    await reach('running');
    const again = await describeInstance(id);
    expect(again.LaunchTime!.getTime()).toBeGreaterThan(first.LaunchTime!.getTime());
    expect(again.BlockDeviceMappings![0]!.Ebs!.AttachTime).toEqual(first.BlockDeviceMappings![0]!.Ebs!.AttachTime);
  });

  test('the same client token twice is one instance', async () => {
    const request = { ClientToken: 'once', ...tagged('once') };
    const [first, second] = await Promise.all([run(request), run(request)]);
    expect(second.InstanceId).toBe(first.InstanceId);
    const found = await ec2.send(new DescribeInstancesCommand({ Filters: [{ Name: 'tag:team', Values: ['once'] }] }));
    expect(found.Reservations).toHaveLength(1);
  });

  test('refuses a client token that was used with other parameters', async () => {
    await run({ ClientToken: 'mine', ...tagged('one') });
    await expect(run({ ClientToken: 'mine', ...tagged('two') })).rejects.toMatchObject({
      name: 'IdempotentParameterMismatch',
    });
  });

  test('are found by filter and page by page, and only in their own region', async () => {
    for (let count = 0; count < 3; count += 1) await run(tagged('paged'));
    const filters = { Filters: [{ Name: 'tag:team', Values: ['pag*'] }] };
    const pages: number[] = [];
    for await (const page of paginateDescribeInstances({ client: ec2, pageSize: 2 }, filters)) {
      pages.push(page.Reservations?.length ?? 0);
    }
    expect(pages).toEqual([2, 1]);
    const elsewhere = awsClients(cloud, cloud.lab.description.aws.credentials, 'eu-west-1').ec2;
    expect((await elsewhere.send(new DescribeInstancesCommand(filters))).Reservations).toEqual([]);
  });

  test('are terminated, stay described as such, and have lost their address', async () => {
    const { InstanceId: id } = await run();
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id!] }));
    await waitUntilInstanceTerminated(
      { client: ec2, maxWaitTime: 20, minDelay: 1, maxDelay: 1 },
      { InstanceIds: [id!] },
    );
    expect((await describeInstance(id!)).PrivateIpAddress).toBeUndefined();
  });

  test.each([
    ['user data beyond 16 KiB', { UserData: Buffer.alloc(16_385, 'x').toString('base64') }, 'InvalidParameterValue'],
    ['a profile that does not exist', { IamInstanceProfile: { Name: 'none' } }, 'InvalidParameterValue'],
    ['a group that does not exist', { SecurityGroupIds: ['sg-0'] }, 'InvalidGroup.NotFound'],
    ['an image that cannot be', { ImageId: 'debian' }, 'InvalidAMIID.Malformed'],
    ['more than one instance', { MaxCount: 2 }, 'InvalidParameterValue'],
    ['a zone of another region', { Placement: { AvailabilityZone: 'eu-west-1a' } }, 'InvalidParameterValue'],
  ])('refuses %s', async (_what, input, name) => {
    await expect(run(input)).rejects.toMatchObject({ name });
  });

  test('refuses to describe what does not exist', async () => {
    await expect(describeInstance('i-0123456789abcdef0')).rejects.toMatchObject({ name: 'InvalidInstanceID.NotFound' });
  });
});

describe('security groups', () => {
  test('take a rule once, are not deleted while an instance has them, and not found afterwards', async () => {
    const created = await ec2.send(new CreateSecurityGroupCommand({ GroupName: 'servers', Description: 'servers' }));
    const GroupId = created.GroupId!;
    await expect(
      ec2.send(new CreateSecurityGroupCommand({ GroupName: 'servers', Description: 'again' })),
    ).rejects.toMatchObject({ name: 'InvalidGroup.Duplicate' });
    const rule = { IpProtocol: 'tcp', FromPort: 8081, ToPort: 8081, IpRanges: [{ CidrIp: '10.0.0.0/8' }] };
    await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [rule] }));
    await expect(
      ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [rule] })),
    ).rejects.toMatchObject({ name: 'InvalidPermission.Duplicate' });
    const found = await ec2.send(
      new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-name', Values: ['servers'] }] }),
    );
    expect(found.SecurityGroups?.[0]?.IpPermissions?.[0]).toMatchObject(rule);

    const { InstanceId } = await run({ SecurityGroupIds: [GroupId] });
    await expect(ec2.send(new DeleteSecurityGroupCommand({ GroupId }))).rejects.toMatchObject({
      name: 'DependencyViolation',
    });
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId!] }));
    await until('deleted', () => ec2.send(new DeleteSecurityGroupCommand({ GroupId })).catch(() => undefined));
    await expect(ec2.send(new DescribeSecurityGroupsCommand({ GroupIds: [GroupId] }))).rejects.toMatchObject({
      name: 'InvalidGroup.NotFound',
    });
  });
});
