// Two services that answer for AWS: moto, which another project wrote, and our lab. Both are asked in the same words.
import { join } from 'node:path';
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeImagesCommand,
  EC2Client,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import {
  AddRoleToInstanceProfileCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import { startTestLab } from '../../lab/support.ts';
import { eventually, freePort, start } from './processes.ts';
import { preparePython } from './programs.ts';

export const region = 'us-east-1';
const trustEc2 = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' }],
});

export interface Cloud {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly account: string;
  readonly imageId: string;
  stop(): Promise<void>;
}

export async function startMoto(directory: string): Promise<Cloud> {
  const [bin, port] = [await preparePython(), await freePort()];
  const moto = start(join(bin, 'moto_server'), ['-H', '127.0.0.1', '-p', String(port)], {
    logPath: join(directory, 'moto.log'),
  });
  const endpoint = `http://127.0.0.1:${port}`;
  // Moto takes any; its account is always this one.
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const ec2 = new EC2Client({ region, endpoint, credentials });
  const images = () =>
    ec2.send(new DescribeImagesCommand({ Filters: [{ Name: 'root-device-type', Values: ['ebs'] }] }));
  const { Images } = await eventually('moto', images, 60_000);
  return { endpoint, credentials, account: '123456789012', imageId: Images![0]!.ImageId!, stop: moto.stop };
}

export async function startLabCloud(): Promise<Cloud> {
  const started = await startTestLab();
  const { endpoint, aws } = started.lab.description;
  const { account, credentials, imageId } = aws;
  return { endpoint, credentials, account, imageId, stop: () => started.close() };
}

export interface Instance {
  readonly id: string;
  readonly groupId: string;
  readonly roleArn: string;
  readonly terminate: () => Promise<void>;
}

/** With a tag, a security group and an instance profile of one role, all of that name. */
export async function runInstance({ endpoint, credentials, imageId }: Cloud, name: string): Promise<Instance> {
  const ec2 = new EC2Client({ region, endpoint, credentials });
  const iam = new IAMClient({ region, endpoint, credentials });
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: trustEc2 }));
  await iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: name }));
  await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: name }));
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: name, Description: name }));
  const agents = { IpProtocol: 'tcp', FromPort: 8081, ToPort: 8081, IpRanges: [{ CidrIp: '10.0.0.0/8' }] };
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [agents] }));
  const { Instances } = await ec2.send(
    new RunInstancesCommand({
      ImageId: imageId,
      InstanceType: 't3.small',
      MinCount: 1,
      MaxCount: 1,
      SecurityGroupIds: [GroupId!],
      IamInstanceProfile: { Name: name },
      UserData: Buffer.from('#!/bin/sh\necho booted\n').toString('base64'),
      TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'Name', Value: name }] }],
    }),
  );
  const id = Instances![0]!.InstanceId!;
  return {
    id,
    groupId: GroupId!,
    roleArn: Role!.Arn!,
    async terminate() {
      await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    },
  };
}
